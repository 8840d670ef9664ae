#include "loadgen/features.h"

#include <errno.h>
#include <sys/utsname.h>

const char *features_state_name(enum transport_feature_state state)
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

/* The transport is never polled, so that no event comes. */
static void take_no_event(void *context, const struct transport_event *event)
{
    (void)context;
    (void)event;
}

static void print_feature(const struct transport_feature *feature, FILE *out)
{
    fprintf(out, "  %-20s %-8s %s\n", feature->name, features_state_name(feature->state),
            feature->help);
    if (feature->state == TRANSPORT_FEATURE_OFF || feature->state == TRANSPORT_FEATURE_MISSING) {
        fprintf(out, "  %-20s %-8s instead: %s\n", "", "", feature->fallback);
    }
}

int features_print(enum transport_engine wanted, uint64_t features_off, FILE *out,
                   struct failure *failure)
{
    struct transport_config config = {
        .conns_max = 1, .features_off = features_off, .connects = true, .handler = take_no_event};
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    struct transport *transport;
    struct utsname system;
    int rc = transport_choose(wanted, &config.engine, features_off, failure);
    if (rc != 0) {
        return rc;
    }
    if (uname(&system) == 0) {
        fprintf(out, "kernel: %s %s %s\n", system.sysname, system.release, system.machine);
    }
    fprintf(out, "liburing: %s\n", FINWAIT_LIBURING_VERSION);
    fprintf(out, "engine: %s%s%s\n", transport_engine_name(config.engine),
            failure->text[0] != '\0' ? ", since " : "", failure->text);
    rc = transport_open(&transport, &config, failure);
    if (rc != 0) {
        return rc;
    }
    size_t count = transport_features(transport, features, TRANSPORT_FEATURES_MAX);
    fprintf(out, "features:%s\n", count == 0 ? " none that could be missing or switched off" : "");
    for (size_t i = 0; i < count; i++) {
        print_feature(&features[i], out);
    }
    transport_destroy(transport);
    return fflush(out) == 0 ? 0 : failure_set(failure, errno, "cannot write to stdout");
}
