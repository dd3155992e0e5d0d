/* SPDX-License-Identifier: MIT */
/* Names of hosts: whatever is not refused has the form that is promised, and no other. */
#include "fuzz.h"

#include "tcpmulti.h"
#include "transport/host_name.h"

#include <errno.h>

static void check_form(const char *name)
{
    size_t label = 0, length = strlen(name);

    FUZZ_CHECK(length <= 253);
    for (size_t i = 0; i <= length; i++) {
        if (name[i] == '.' || name[i] == '\0') {
            FUZZ_CHECK(label > 0 && label <= 63);
            label = 0;
        } else {
            FUZZ_CHECK(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", name[i]) != NULL);
            label++;
        }
    }
    FUZZ_CHECK(tcpm__host_name_refuse_number(name) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char name[TCPM__HOST_NAME_SIZE], again[TCPM__HOST_NAME_SIZE];
    const char *why = NULL;
    bool absolute;
    int code = tcpm__host_name_make(text, name, &absolute, &why);

    if (code == 0) {
        check_form(name);
        FUZZ_CHECK(tcpm__host_name_make(name, again, &absolute, &why) == 0);
        FUZZ_CHECK(!absolute && strcmp(name, again) == 0);
    } else {
        FUZZ_CHECK(code == TCPM_EBADNAME || code == TCPM_ENOTFOUND || code == -EINVAL ||
                   code == -EOPNOTSUPP);
        FUZZ_CHECK(why != NULL);
    }
    free(text);
    return 0;
}
