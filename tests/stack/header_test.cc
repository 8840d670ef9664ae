/* The embedding ABI as a C++ program meets it: warnings of its own choice are errors here, and the
 * calls link.
 *
 * Layer: tests. */
#include "stack/finwait-stack.h"

namespace {
struct fws_host *make_host()
{
    struct fws_config config = {};
    config.size = sizeof(config);
    config.address.version = 4;
    config.address.bytes[0] = 10;
    config.address.bytes[3] = 1;
    struct fws_host *host = nullptr;
    return fws_host_create(&host, &config) == 0 ? host : nullptr;
}
} // namespace

int main()
{
    struct fws_host *host = make_host();
    if (host == nullptr || fws_abi_version() != FWS_ABI_VERSION) {
        return 1;
    }
    struct fws_info info = {};
    info.size = sizeof(info);
    struct fws_census census = {};
    census.size = sizeof(census);
    fws_census(host, &census);
    const bool is_right = fws_info(host, 1, &info) < 0 && census.live_records == 0;
    fws_host_destroy(host);
    return is_right ? 0 : 1;
}
