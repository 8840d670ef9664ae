#include "tcpstat/budget.h"

#define PERMILLE 1000

static uint64_t earned_ns(const struct budget *budget, uint64_t elapsed_ns)
{
    return elapsed_ns / PERMILLE * budget->permille;
}

void budget_start(struct budget *budget, uint32_t permille, uint64_t now_ns, uint64_t spent_ns)
{
    *budget = (struct budget){.permille = permille, .at_ns = now_ns, .spent_ns = spent_ns};
}

void budget_owe(struct budget *budget, uint64_t debt_ns)
{
    budget->owed_ns += debt_ns;
    const uint64_t wanted = budget->owed_ns / (BUDGET_HELD_NS / NS_PER_SEC);
    const uint64_t most = earned_ns(budget, NS_PER_SEC) / 2;
    budget->pays_ns_per_sec = wanted < most ? wanted : most;
}

/* Gives what is paid back of the debt for a time. */
static uint64_t pay_back(struct budget *budget, uint64_t elapsed_ns)
{
    const uint64_t due_ns =
        elapsed_ns / NS_PER_US * budget->pays_ns_per_sec / (NS_PER_SEC / NS_PER_US);
    const uint64_t paid_ns = due_ns < budget->owed_ns ? due_ns : budget->owed_ns;
    budget->owed_ns -= paid_ns;
    return paid_ns;
}

void budget_update(struct budget *budget, uint64_t now_ns, uint64_t spent_ns, uint64_t cost_ns)
{
    budget->credit_ns += (int64_t)earned_ns(budget, now_ns - budget->at_ns);
    const uint64_t charge_ns =
        spent_ns - budget->spent_ns + pay_back(budget, now_ns - budget->at_ns);
    budget->credit_ns -= (int64_t)charge_ns;
    budget->charged_ns += charge_ns;
    const uint64_t kept_ns = earned_ns(budget, BUDGET_KEPT_NS);
    const int64_t most_ns = (int64_t)(cost_ns > kept_ns ? cost_ns : kept_ns);
    if (budget->credit_ns > most_ns) {
        budget->credit_ns = most_ns;
    }
    budget->at_ns = now_ns;
    budget->spent_ns = spent_ns;
}

uint64_t budget_wait_ns(const struct budget *budget, uint64_t cost_ns)
{
    const int64_t missing_ns = (int64_t)cost_ns - budget->credit_ns;
    if (missing_ns <= 0) {
        return 0;
    }
    return budget->permille == 0 ? CLOCK_NEVER / 2
                                 : (uint64_t)missing_ns / budget->permille * PERMILLE + PERMILLE;
}

bool budget_is_small(const struct budget *budget, uint64_t cost_ns)
{
    return cost_ns <= earned_ns(budget, BUDGET_KEPT_NS);
}
