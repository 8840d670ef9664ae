/* Who else has a running stack's addresses; see stack_alarm.h. */
#include "transport/stack_alarm.h"

#include <stdio.h>

bool stack_alarm_look(struct stack_alarm *alarm, const struct transport_stack_config *config,
                      const struct stack_totals *totals, char text[STACK_ALARM_TEXT_MAX])
{
    char address[IP_TEXT_MAX];
    if (!alarm->is_taken && transport_stack_taken(config, &alarm->taken)) {
        alarm->is_taken = true;
        snprintf(text, STACK_ALARM_TEXT_MAX,
                 "the kernel was given the stack's address %s: it answers the stack's peers too, "
                 "by resets; give each an address of its own",
                 ip_format(&alarm->taken, address));
        return true;
    }
    if (!alarm->in_conflict && stack_totals_counter(totals, "ether", "arp_conflicts") > 0) {
        alarm->in_conflict = true;
        snprintf(text, STACK_ALARM_TEXT_MAX,
                 "another station says that an address of the stack's is its own: two that have "
                 "one break each other's connections");
        return true;
    }
    return false;
}
