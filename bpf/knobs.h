/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What lbd sets once before it loads the program: the verifier sees constants and
 * removes what they switch off. What changes at run time is in the maps instead.
 */
#ifndef LB_KNOBS_H
#define LB_KNOBS_H

const volatile __u64 knob_hash_seed = 0;
const volatile __u32 knob_place_secret[HASH_PLACE_WORDS] = { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0 };
const volatile __u64 knob_half_open_ns = 30000000000ULL;
const volatile bool knob_turns = true; /* off only in the benchmark, to price turn tracking */

#endif
