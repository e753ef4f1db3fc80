/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Makes 64-bit words of smaller fields, in the order in which they lie in memory. Keys are compared and hashed in such words;
 * a word that was stored in pieces makes its reader wait until they have left the CPU's store buffer, longer than all the
 * shifting takes. Pure: the host's tests compile it too.
 */
#ifndef LB_WORD_H
#define LB_WORD_H

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WORD_PART(value, bits, nth) ((__u64)(value) << (bits) * (nth))
#else
#define WORD_PART(value, bits, nth) ((__u64)(value) << (64 - (bits) * ((nth) + 1)))
#endif

static __always_inline __u64 word_of_2(__u32 a, __u32 b)
{
	return WORD_PART(a, 32, 0) | WORD_PART(b, 32, 1);
}

static __always_inline __u64 word_of_4(__u16 a, __u16 b, __u16 c, __u16 d)
{
	return WORD_PART(a, 16, 0) | WORD_PART(b, 16, 1) | WORD_PART(c, 16, 2) | WORD_PART(d, 16, 3);
}

#endif
