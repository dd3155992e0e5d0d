/* SPDX-License-Identifier: MIT */
/* Addresses: what is taken for one is the same when it is printed and read again; what is refused
   has its reason. */
#include "fuzz.h"

#include "tcpmulti.h"
#include "transport/address.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), printed[TCPM__ADDRESS_TEXT];
    union tcpm__address address, again;
    const char *why = NULL;
    int form = tcpm__address_parse(text, 80, &address, &why);

    if (form == 1) {
        tcpm__address_print(&address, printed);
        FUZZ_CHECK(tcpm__address_parse(printed, 80, &again, &why) == 1);
        FUZZ_CHECK(tcpm__address_equal(&address, &again));
    } else if (form != 0) {
        FUZZ_CHECK(form == TCPM_ENOTFOUND || form == TCPM_EBADNAME || form == -EINVAL);
        FUZZ_CHECK(why != NULL);
    }
    free(text);
    return 0;
}
