/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dictionary: every word exists once, leads back to its value, and says enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "../../loader/verdict.h"

static bool is_word(const char *text)
{
	return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz_-") == strlen(text);
}

static void every_verdict_has_a_name_of_its_own_that_leads_back(void **state)
{
	(void)state;
	for (int v = 0; v < LB_VERDICT_MAX; v++) {
		assert_true(is_word(verdict_to_str(v)));
		assert_int_equal(verdict_from_str(verdict_to_str(v)), v);
	}
	assert_string_equal(verdict_to_str(LB_PASS_NOT_OURS), "pass_not_ours");
	assert_string_equal(verdict_to_str(LB_DROP_NO_FLOW), "drop_no_flow");
}

static void names_start_with_the_outcome_that_the_order_of_the_enum_promises(void **state)
{
	(void)state;
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++) {
		const char *outcome = v < LB_TX_SYN ? "pass_" : v < LB_RESET_NO_BACKEND ? "tx_" :
				      v < LB_DROP_TRUNCATED ? "reset_" : "drop_";

		assert_memory_equal(verdict_to_str(v), outcome, strlen(outcome));
	}
}

static void every_meaning_is_one_sentence_that_says_whether_it_is_normal(void **state)
{
	(void)state;
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++) {
		const char *text = verdict_meaning(v);

		assert_true(text[0] >= 'A' && text[0] <= 'Z');
		assert_ptr_equal(strchr(text, '.'), text + strlen(text) - 1);
		if (!strstr(text, "normal"))
			fail_msg("%s: is it normal?", verdict_to_str(v));
		assert_null(strchr(text, '\n'));
	}
}

static void the_other_enums_lead_there_and_back(void **state)
{
	(void)state;
	for (int m = 0; m < LB_MODE_MAX; m++)
		assert_int_equal(mode_from_str(mode_to_str(m)), m);
	for (int s = 0; s < LB_SCHED_MAX; s++)
		assert_int_equal(scheduler_from_str(scheduler_to_str(s)), s);
	for (int r = 0; r < LB_REFUSE_MAX; r++)
		assert_int_equal(refuse_from_str(refuse_to_str(r)), r);
	for (int s = 0; s < LB_FLOW_STATE_MAX; s++)
		assert_true(is_word(flow_state_to_str(s)));
	assert_string_equal(scheduler_to_str(LB_SCHED_LEAST_INFLIGHT), "least-inflight");
	assert_string_equal(refuse_to_str(LB_REFUSE_REPLY), "reply");
	assert_string_equal(flow_state_to_str(LB_FLOW_HALF_OPEN), "half-open");
}

static void what_is_outside_an_enum_is_a_question_mark(void **state)
{
	(void)state;
	assert_string_equal(verdict_to_str(LB_VERDICT_MAX), "?");
	assert_string_equal(verdict_to_str((enum lb_verdict)-1), "?");
	assert_non_null(verdict_meaning(LB_VERDICT_MAX));
	assert_string_equal(mode_to_str(LB_MODE_MAX), "?");
	assert_string_equal(scheduler_to_str((enum lb_scheduler)255), "?");
	assert_string_equal(refuse_to_str(LB_REFUSE_MAX), "?");
	assert_string_equal(flow_state_to_str((enum lb_flow_state)0xffffffff), "?");
}

static void names_that_do_not_exist_are_errors(void **state)
{
	(void)state;
	assert_int_equal(verdict_from_str("pass"), -ENOENT);
	assert_int_equal(verdict_from_str(""), -ENOENT);
	assert_int_equal(mode_from_str("NAT"), -EINVAL);
	assert_int_equal(scheduler_from_str("least_conn"), -EINVAL);
	assert_int_equal(refuse_from_str("?"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verdict_has_a_name_of_its_own_that_leads_back),
		cmocka_unit_test(names_start_with_the_outcome_that_the_order_of_the_enum_promises),
		cmocka_unit_test(every_meaning_is_one_sentence_that_says_whether_it_is_normal),
		cmocka_unit_test(the_other_enums_lead_there_and_back),
		cmocka_unit_test(what_is_outside_an_enum_is_a_question_mark),
		cmocka_unit_test(names_that_do_not_exist_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
