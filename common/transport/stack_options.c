/* From the texts of the stack's options to its configuration. */
#include "transport/stack_options.h"

#include <errno.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/stack_engine.h"

#define MAC_TEXT_BYTES 17u
#define PART_MAX 96 /* of "A-B/BITS" and of one fault: longer ones cannot be right */

const char *const transport_syn_cookies_choices[] = {"auto", "always", "off", NULL};

/* The options of the group are those whose field lies in the group's struct. */
static bool is_of_group(const struct transport_stack_command *command,
                        const struct cli_option *option)
{
    return option->offset >= command->offset &&
           option->offset < command->offset + sizeof(struct transport_stack_options);
}

int transport_stack_options_refuse(const struct transport_stack_command *command,
                                   struct failure *failure)
{
    const struct cli_program *program = command->program;
    for (size_t i = 0; i < program->option_count; i++) {
        const struct cli_option *option = &program->options[i];
        if (is_of_group(command, option) && cli_was_given(program, command->given, option->name)) {
            return failure_set(failure, EINVAL,
                               "--%s is for the stack alone; add --engine stack, or leave it out",
                               option->name);
        }
    }
    return 0;
}

int transport_stack_refuse_kernels(const struct transport_stack_command *command,
                                   struct failure *failure)
{
    static const struct {
        const char *name;
        const char *why;
    } refused[] = {
        {"fastopen", "the stack does not speak TCP Fast Open; leave it out"},
        {"without-feature", "features are io_uring's; leave it out"},
        {"states-method", "the stack counts its states itself; leave it out"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *name = refused[i].name;
        if (cli_was_given(command->program, command->given, name)) {
            return failure_set(failure, EINVAL, "--%s cannot be had with --engine stack: %s", name,
                               refused[i].why);
        }
    }
    return 0;
}

/* Puts the option's name before what a parser of single values said. Passes `rc` on. */
static int name_option(int rc, const char *option, struct failure *failure)
{
    char text[FAILURE_TEXT_MAX];
    if (rc == 0) {
        return 0;
    }
    memcpy(text, failure->text, sizeof(text));
    return failure_set(failure, -rc, "%s %s", option, text);
}

/* Copies `text` up to `end`. Returns false when it is longer than anything that is right. */
static bool cut(char part[PART_MAX], const char *text, const char *end)
{
    size_t bytes = (size_t)(end - text);
    if (bytes >= PART_MAX) {
        return false;
    }
    memcpy(part, text, bytes);
    part[bytes] = '\0';
    return true;
}

/* Reads "A/BITS" or "A-B/BITS" into addresses and prefix. */
static int parse_on_link(struct ip_range *range, uint8_t *prefix_bits, const char *option,
                         const char *text, struct failure *failure)
{
    char part[PART_MAX];
    const char *slash = strrchr(text, '/');
    if (slash == NULL || !cut(part, text, slash)) {
        return failure_set(failure, EINVAL,
                           "%s %s: give the address and the prefix of its link, as 10.9.0.2/24",
                           option, text);
    }
    int rc = name_option(ip_range_parse(range, part, failure), option, failure);
    if (rc != 0) {
        return rc;
    }
    uint64_t bits;
    struct failure why;
    if (cli_parse_count(&bits, slash + 1, option, &why) != 0 || bits < 1 || bits > 128) {
        return failure_set(failure, EINVAL, "%s %s: the prefix is 1 to 32, as in 10.9.0.2/24",
                           option, text);
    }
    *prefix_bits = (uint8_t)bits;
    return 0;
}

static int make_addresses(struct transport_stack_config *config,
                          const struct transport_stack_options *options, struct failure *failure)
{
    if (options->link_address == NULL) {
        return parse_on_link(&config->addresses, &config->prefix_bits, "--address",
                             options->address, failure);
    }
    struct ip_range own;
    int rc =
        parse_on_link(&own, &config->prefix_bits, "--link-address", options->link_address, failure);
    if (rc == 0 && !ip_equal(&own.first, &own.last)) {
        rc = failure_set(failure, EINVAL, "--link-address %s: give one address",
                         options->link_address);
    }
    config->link_address = own.first;
    return rc != 0 ? rc
                   : name_option(ip_range_parse(&config->addresses, options->address, failure),
                                 "--address", failure);
}

static int make_mac(struct transport_stack_config *config, const char *text,
                    struct failure *failure)
{
    struct ether_addr mac;
    if (text == NULL) {
        return 0;
    }
    if (strcmp(text, "interface") == 0) {
        config->mac_of_interface = true;
        return 0;
    }
    /* The C library takes shorter forms too, which are more often a slip than meant. */
    if (strlen(text) != MAC_TEXT_BYTES || ether_aton_r(text, &mac) == NULL) {
        return failure_set(failure, EINVAL,
                           "--mac %s: not a MAC; give six bytes as in 02:00:00:00:00:01, or "
                           "interface",
                           text);
    }
    memcpy(config->mac, mac.ether_addr_octet, sizeof(config->mac));
    config->mac_given = true;
    return 0;
}

/* Reads "1%", "0.05%" or "0.01" into a probability. */
static int parse_probability(double *probability, const char *text, struct failure *failure)
{
    char *end;
    *probability = strtod(text, &end);
    bool has_number = end != text;
    if (has_number && *end == '%') {
        *probability /= 100;
        end++;
    }
    if (!has_number || *end != '\0' || !(*probability >= 0 && *probability <= 1)) {
        return failure_set(failure, EINVAL, "%s: give a percentage, as 1%%, or 0 to 1", text);
    }
    return 0;
}

static int parse_direction(enum link_faults_direction *direction, const char *text,
                           struct failure *failure)
{
    static const char *const names[] = {
        [LINK_FAULTS_BOTH] = "both",
        [LINK_FAULTS_SENT] = "sent",
        [LINK_FAULTS_RECEIVED] = "received",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *direction = (enum link_faults_direction)i;
            return 0;
        }
    }
    return failure_set(failure, EINVAL, "direction=%s: use both, sent or received", text);
}

static int parse_fault(struct link_faults *faults, const char *name, const char *value,
                       struct failure *failure)
{
    const struct {
        const char *name;
        double *probability;
        uint64_t *duration_ns;
    } kinds[] = {
        {"loss", &faults->loss, NULL},
        {"duplication", &faults->duplication, NULL},
        {"corruption", &faults->corruption, NULL},
        {"reordering", &faults->reordering, NULL},
        {"reorder-delay", NULL, &faults->reorder_ns},
        {"duplicate-delay", NULL, &faults->duplicate_ns},
        {"delay", NULL, &faults->delay_ns},
        {"jitter", NULL, &faults->jitter_ns},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) != 0) {
            continue;
        }
        return kinds[i].probability != NULL
                   ? parse_probability(kinds[i].probability, value, failure)
                   : cli_parse_duration(kinds[i].duration_ns, value, value, failure);
    }
    if (strcmp(name, "seed") == 0) {
        return cli_parse_count(&faults->seed, value, value, failure);
    }
    if (strcmp(name, "direction") == 0) {
        return parse_direction(&faults->direction, value, failure);
    }
    return failure_set(failure, EINVAL,
                       "%s: there is no such fault; there are loss, duplication, corruption, "
                       "reordering, reorder-delay, duplicate-delay, delay, jitter, direction and "
                       "seed",
                       name);
}

static int make_faults(struct transport_stack_settings *settings, const char *text,
                       struct failure *failure)
{
    settings->has_faults = text != NULL;
    for (const char *item = text; item != NULL;) {
        char part[PART_MAX];
        struct failure why;
        const char *comma = strchr(item, ',');
        const char *end = comma != NULL ? comma : item + strlen(item);
        char *equals = cut(part, item, end) ? strchr(part, '=') : NULL;
        if (equals == NULL) {
            return failure_set(failure, EINVAL, "--faults %s: use WHAT=N, as loss=1%%,delay=5ms",
                               text);
        }
        *equals = '\0';
        if (parse_fault(&settings->faults, part, equals + 1, &why) != 0) {
            return failure_set(failure, EINVAL, "--faults %s: %s", text, why.text);
        }
        item = comma != NULL ? comma + 1 : NULL;
    }
    return 0;
}

/* Refuses what is missing. */
static int check_given(const struct transport_stack_options *options, uint32_t workers,
                       struct failure *failure)
{
    if (options->link == NULL) {
        return failure_set(failure, EINVAL,
                           "--engine stack needs --link; give one, such as --link packet:veth0");
    }
    if (options->address == NULL) {
        return failure_set(failure, EINVAL,
                           "--engine stack needs --address, one of the link's that the kernel "
                           "lacks, such as --address 10.9.0.2/24");
    }
    if (options->pcap != NULL && workers > 1) {
        return failure_set(failure, EINVAL,
                           "--pcap %s: %u workers cannot write one file; give one CPU to --cpus",
                           options->pcap, workers);
    }
    return 0;
}

/* Refuses what AF_XDP does not have. */
static int check_link(const struct transport_stack_config *config, uint32_t workers,
                      struct failure *failure)
{
    if (config->link == LINK_XDP && config->blocks) {
        return failure_set(failure, EINVAL,
                           "--link-v3 is TPACKET_V3, which xdp:%s does not have; leave it out, or "
                           "use packet:%s",
                           config->interface, config->interface);
    }
    if (config->link == LINK_XDP && workers > 1) {
        return failure_set(failure, EINVAL,
                           "--link xdp:%s: one worker is all that AF_XDP can have here; give one "
                           "CPU to --cpus, or use packet:%s",
                           config->interface, config->interface);
    }
    return 0;
}

int transport_stack_options_make(struct transport_stack_settings *settings,
                                 const struct transport_stack_options *options, uint32_t workers,
                                 struct failure *failure)
{
    memset(settings, 0, sizeof(*settings));
    struct transport_stack_config *config = &settings->config;
    int rc = check_given(options, workers, failure);
    if (rc == 0) {
        rc = link_parse(options->link, &config->link, &config->interface, failure);
    }
    config->blocks = options->blocks;
    rc = rc != 0 ? rc : check_link(config, workers, failure);
    rc = rc != 0 ? rc : make_addresses(config, options, failure);
    if (rc == 0 && options->gateway != NULL) {
        rc = name_option(ip_parse(&config->gateway, options->gateway, failure), "--gateway",
                         failure);
    }
    rc = rc != 0 ? rc : make_mac(config, options->mac, failure);
    rc = rc != 0 ? rc : make_faults(settings, options->faults, failure);
    if (rc != 0) {
        return rc;
    }
    config->sends_gather = true;
    config->rfc1337 = options->rfc1337;
    config->spin_ns = options->spin_ns;
    config->time_wait_ns = options->time_wait_ns != 0 ? options->time_wait_ns : FWS_TIME_WAIT_NONE;
    config->syn_cookies = (enum transport_syn_cookies)options->syn_cookies;
    config->pcap_path = options->pcap;
    config->workers = workers;
    settings->linger = options->linger;
    return transport_stack_check(config, failure);
}

struct transport_stack_config transport_stack_config_of(
    const struct transport_stack_settings *settings, uint32_t worker, uint32_t workers,
    enum link_steer steer)
{
    struct transport_stack_config config = settings->config;
    config.faults = settings->has_faults ? &settings->faults : NULL;
    config.worker = worker;
    config.workers = workers;
    config.group = (uint32_t)getpid();
    config.steer = steer;
    return config;
}

int transport_stack_check_target(const struct transport_stack_settings *settings,
                                 const struct ip_addr *target, const char *what,
                                 struct failure *failure)
{
    const struct transport_stack_config *config = &settings->config;
    const struct ip_addr *own = stack_link_address(config);
    char own_text[IP_TEXT_MAX];
    if (target->family != AF_INET) {
        return failure_set(failure, EAFNOSUPPORT,
                           "%s: the stack speaks IPv4 only, for now; give an IPv4 address, or use "
                           "a kernel engine",
                           what);
    }
    uint32_t mask = config->prefix_bits >= 32 ? UINT32_MAX : ~(UINT32_MAX >> config->prefix_bits);
    bool on_link = ((stack_ip_of(target) ^ stack_ip_of(own)) & mask) == 0;
    if (ip_range_has(&config->addresses, target) || ip_equal(target, own)) {
        return failure_set(failure, EADDRNOTAVAIL,
                           "%s: that is the stack's own address; give another host's", what);
    }
    if (!on_link && config->gateway.family == AF_UNSPEC) {
        return failure_set(failure, ENETUNREACH,
                           "%s: it is not on the link of %s/%u; add --gateway, or give a target "
                           "that is",
                           what, ip_format(own, own_text), config->prefix_bits);
    }
    return 0;
}
