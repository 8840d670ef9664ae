/* --print-features of both programs: kernel, liburing, the engine, and which of its features are
 * used. */
#include <errno.h>
#include <sys/utsname.h>

#include "transport/stack_engine.h"
#include "transport/transport.h"

const char *transport_feature_state_name(enum transport_feature_state state)
{
    switch (state) {
    case TRANSPORT_FEATURE_USED:
        return "used";
    case TRANSPORT_FEATURE_UNUSED:
        return "unused";
    case TRANSPORT_FEATURE_OFF:
        return "off";
    case TRANSPORT_FEATURE_MISSING:
        return "missing";
    }
    return "unknown";
}

/* Nothing is polled, so nothing comes. */
static void ignore_event(void *context, const struct transport_event *event)
{
    (void)context;
    (void)event;
}

static void print_head(enum transport_engine engine, const char *why, FILE *out)
{
    struct utsname system;
    if (uname(&system) == 0) {
        fprintf(out, "kernel: %s %s %s\n", system.sysname, system.release, system.machine);
    }
    fprintf(out, "liburing: %s\n", FINWAIT_LIBURING_VERSION);
    fprintf(out, "engine: %s%s%s\n", transport_engine_name(engine),
            why[0] != '\0' ? ", since " : "", why);
}

static void print_table(const struct transport *transport, FILE *out)
{
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t count = transport_features(transport, features, TRANSPORT_FEATURES_MAX);
    fprintf(out, "features:%s\n", count == 0 ? " none that could be missing or switched off" : "");
    for (size_t i = 0; i < count; i++) {
        const struct transport_feature *feature = &features[i];
        fprintf(out, "  %-18s %-8s since %-6s %s\n", feature->name,
                transport_feature_state_name(feature->state), feature->since, feature->help);
        if (feature->state == TRANSPORT_FEATURE_OFF ||
            feature->state == TRANSPORT_FEATURE_MISSING) {
            fprintf(out, "  %-18s %-8s instead:     %s\n", "", "", feature->fallback);
        }
    }
}

int transport_features_print(const struct transport_config *config, FILE *out,
                             struct failure *failure)
{
    struct transport_config own = *config;
    own.handler = ignore_event;
    int rc = transport_choose(config->engine, &own.engine, config->features_off, failure);
    if (rc != 0) {
        return rc;
    }
    print_head(own.engine, failure->text, out);
    struct transport *transport;
    rc = transport_open(&transport, &own, failure);
    if (rc != 0) {
        return rc;
    }
    if (own.engine == TRANSPORT_STACK) {
        stack_report_print(transport, own.stack->interface, out);
    }
    print_table(transport, out);
    transport_destroy(transport);
    return fflush(out) == 0 ? 0 : failure_set(failure, errno, "cannot write the features");
}
