/* SPDX-License-Identifier: MIT */
/* Answers of name servers, as c-ares hands them over: each becomes one of four meanings. */
#include "fuzz.h"

#include "tcpmulti.h"
#include "transport/reply.h"

#include <ares.h>
#include <errno.h>

enum { HEADER_BYTES = 12 /* bytes that c-ares has seen of every answer */ };

/* What c-ares says of an answer; the last ones come without one. */
static const int statuses[] = {ARES_SUCCESS,      ARES_ENODATA,  ARES_ENOTFOUND, ARES_EFORMERR,
                               ARES_ESERVFAIL,    ARES_ENOTIMP,  ARES_EREFUSED,  ARES_EBADRESP,
                               ARES_ECONNREFUSED, ARES_ETIMEOUT, ARES_ENOMEM,    ARES_EBADNAME};

enum { WITH_ANSWER = 8, STATUSES = sizeof statuses / sizeof *statuses };

static bool is_final(int code)
{
    return code == 0 || code == -ENODATA || code == TCPM_ENOTFOUND || code == -ENOMEM ||
           code == TCPM_EBADNAME;
}

static bool is_no(int code)
{
    return code == TCPM_ESERVFAIL || code == TCPM_EREFUSED || code == TCPM_EBADRESP;
}

static void check_reply(const struct tcpm__reply *reply, int family, bool tcp, bool has_answer)
{
    switch (reply->kind) {
    case TCPM__REPLY_FINAL:
        FUZZ_CHECK(is_final(reply->code));
        FUZZ_CHECK((reply->code == 0) == (reply->count > 0));
        break;
    case TCPM__REPLY_NO:
        FUZZ_CHECK(is_no(reply->code));
        break;
    case TCPM__REPLY_TRUNCATED:
        FUZZ_CHECK(has_answer && !tcp);
        break;
    case TCPM__REPLY_BROKEN:
        FUZZ_CHECK(!has_answer);
    }
    FUZZ_CHECK(reply->count <= TCPM__MOST_ADDRESSES);
    FUZZ_CHECK(reply->count == 0 || reply->ttl_s <= INT32_MAX);
    for (size_t i = 0; i < reply->count; i++)
        FUZZ_CHECK(reply->addresses[i].any.sa_family == family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned choice = fuzz_byte(&input);
    int family = choice & 1 ? AF_INET6 : AF_INET;
    bool tcp = choice >> 1 & 1;
    unsigned status = (choice >> 2) % STATUSES;
    bool has_answer = status < WITH_ANSWER;
    struct tcpm__reply reply;

    if (input.left < HEADER_BYTES || input.left > UINT16_MAX)
        return 0;
    memset(&reply, 0xa5, sizeof reply);
    tcpm__reply_read(family, tcp, statuses[status], has_answer ? input.at : NULL,
                     has_answer ? (int) input.left : 0, &reply);
    check_reply(&reply, family, tcp, has_answer);
    return 0;
}
