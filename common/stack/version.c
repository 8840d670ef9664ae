/* Version: what a program that loads the library can ask before it relies on more than it was built
 * against. */
#include "stack/finwait-stack.h"

int fws_abi_version(void)
{
    return FWS_ABI_VERSION;
}
