/* Rules of base/tcp_state. */
#include "base/test.h"

#include <netinet/tcp.h>

#include "base/tcp_state.h"

struct state_case {
    enum tcp_state state;
    int linux_state;
    const char *name;
};

static const struct state_case states[] = {
    {TCP_STATE_NONE, 0, "NONE"},
    {TCP_STATE_ESTABLISHED, TCP_ESTABLISHED, "ESTABLISHED"},
    {TCP_STATE_SYN_SENT, TCP_SYN_SENT, "SYN_SENT"},
    {TCP_STATE_SYN_RECEIVED, TCP_SYN_RECV, "SYN_RECEIVED"},
    {TCP_STATE_FIN_WAIT_1, TCP_FIN_WAIT1, "FIN_WAIT_1"},
    {TCP_STATE_FIN_WAIT_2, TCP_FIN_WAIT2, "FIN_WAIT_2"},
    {TCP_STATE_TIME_WAIT, TCP_TIME_WAIT, "TIME_WAIT"},
    {TCP_STATE_CLOSED, TCP_CLOSE, "CLOSED"},
    {TCP_STATE_CLOSE_WAIT, TCP_CLOSE_WAIT, "CLOSE_WAIT"},
    {TCP_STATE_LAST_ACK, TCP_LAST_ACK, "LAST_ACK"},
    {TCP_STATE_LISTEN, TCP_LISTEN, "LISTEN"},
    {TCP_STATE_CLOSING, TCP_CLOSING, "CLOSING"},
};

static void test_numbers_are_linuxs(void **state)
{
    (void)state;
    assert_int_equal(TABLE_COUNT(states), TCP_STATE_COUNT);
    for (size_t i = 0; i < TABLE_COUNT(states); i++) {
        assert_int_equal(states[i].state, states[i].linux_state);
    }
}

static void test_key_is_the_name_in_lower_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(states); i++) {
        const char *name = tcp_state_name(states[i].state);
        const char *key = tcp_state_key(states[i].state);
        assert_string_equal(name, states[i].name);
        assert_int_equal(strlen(key), strlen(name));
        for (size_t j = 0; name[j] != '\0'; j++) {
            bool upper = name[j] >= 'A' && name[j] <= 'Z';
            assert_int_equal(key[j], upper ? name[j] - 'A' + 'a' : name[j]);
        }
    }
}

static void test_total_adds_the_eleven_states_only(void **state)
{
    (void)state;
    struct tcp_state_counts counts = {{0}};
    assert_int_equal(tcp_state_total(&counts), 0);
    for (uint64_t i = 0; i < TCP_STATE_COUNT; i++) {
        counts.n[i] = UINT64_C(1) << i;
    }
    assert_int_equal(tcp_state_total(&counts), 0xffe);
}

static void test_add_adds_entry_by_entry(void **state)
{
    (void)state;
    struct tcp_state_counts into = {{0}};
    struct tcp_state_counts from = {{0}};
    for (uint64_t i = 0; i < TCP_STATE_COUNT; i++) {
        into.n[i] = i;
        from.n[i] = 100 * i + 1;
    }
    tcp_state_counts_add(&into, &from);
    for (uint64_t i = 0; i < TCP_STATE_COUNT; i++) {
        assert_int_equal(into.n[i], 101 * i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_linuxs),
        cmocka_unit_test(test_key_is_the_name_in_lower_case),
        cmocka_unit_test(test_total_adds_the_eleven_states_only),
        cmocka_unit_test(test_add_adds_entry_by_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
