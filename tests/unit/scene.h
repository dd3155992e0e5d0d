/* SPDX-License-Identifier: MIT */
/*
 * Dialogues with proxies. Each scene is played whole, one byte at a time, and cut at every byte. A
 * scene lists what the proxy sends: the next reply comes when the last one is used up.
 */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include "addresses.h"

#include <errno.h>

#include "tcpmulti.h"
#include "transport/dialogue.h"

enum { MOST_REPLIES = 3, MOST_SENT = 2048, WHOLE = 1 << 20 };

struct bytes {
    const char *at;
    size_t length;
};

#define BYTES(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }

struct scene {
    const char *proxy;   /* the option */
    unsigned index;      /* of the hop */
    const char *name;    /* of the target; NULL: none */
    const char *address; /* of the target; NULL: none */
    struct bytes replies[MOST_REPLIES];
    struct bytes sent; /* all that we send; not checked if empty */
    int result;
    const char *why;  /* the reason; NULL: none */
    const char *rest; /* what belongs to the target */
};

/* One reply, by which the proxy does not connect to a.test. */
#define REFUSED(proxy_, reply, result_, why_)                                                \
    {                                                                                        \
        .proxy = (proxy_), .name = "a.test", .replies = {BYTES(reply)}, .result = (result_), \
        .why = (why_)                                                                        \
    }

/* What came of a scene. */
struct course {
    int result;
    char why[TCPM__DIALOGUE_WHY];
    char sent[MOST_SENT];
    size_t length; /* of sent */
    size_t used;   /* bytes of all replies together */
};

/* ---- playing ---- */

static inline struct tcpm__route *parse(const struct tcpm__memory *memory, const char *text)
{
    struct tcpm__route *route = NULL;
    char why[TCPM__ROUTE_WHY];

    if (tcpm__route_parse(memory, text, &route, why) == -EINVAL)
        fail_msg("%s: %s", text, why);
    return route;
}

static inline int open_scene(const struct tcpm__memory *memory, const struct scene *scene,
                             struct tcpm__dialogue **ret)
{
    struct tcpm__route *route = parse(memory, scene->proxy);
    union tcpm__address address;
    struct tcpm__proxy_target target = {.name = scene->name, .port = 8443};

    if (route == NULL)
        return -ENOMEM;
    if (scene->address != NULL) {
        address = address_of(scene->address);
        target.address = &address;
    }
    int result = tcpm__dialogue_open(memory, route, scene->index, &target, ret);
    tcpm__route_drop(route);
    return result;
}

/* One step, by bytes in a block of just their size. */
static inline size_t step(struct tcpm__dialogue *dialogue, const char *in, size_t length,
                          struct course *course)
{
    char *block = malloc(length > 0 ? length : 1);
    struct tcpm__part out;
    size_t used = length + 1;

    assert_non_null(block);
    memcpy(block, in, length);
    course->result = tcpm__dialogue_step(dialogue, block, length, &used, &out, course->why);
    free(block);
    assert_true(used <= length && (course->result != 0 || used == length));
    assert_true(course->result == 0 || out.at == out.end);
    assert_true(course->length + (size_t) (out.end - out.at) < sizeof course->sent);
    memcpy(course->sent + course->length, out.at, (size_t) (out.end - out.at));
    course->length += (size_t) (out.end - out.at);
    course->used += used;
    return used;
}

/* Plays a scene, in pieces of so many bytes, up to a number of bytes of all replies together. */
static inline void play(struct tcpm__dialogue *dialogue, const struct scene *scene, size_t piece,
                        size_t most, struct course *ret)
{
    memset(ret, 0, sizeof *ret);
    step(dialogue, "", 0, ret);
    for (size_t i = 0; i < MOST_REPLIES; i++) {
        const struct bytes *reply = &scene->replies[i];

        for (size_t at = 0; at < reply->length && ret->result == 0 && ret->used < most;) {
            size_t length = reply->length - at < piece ? reply->length - at : piece;

            if (length > most - ret->used)
                length = most - ret->used;
            at += step(dialogue, reply->at + at, length, ret);
        }
    }
}

static inline void play_once(const struct scene *scene, size_t piece, size_t most,
                             struct course *ret)
{
    struct tcpm__dialogue *dialogue = NULL;

    assert_int_equal(open_scene(&tcpm__memory_default, scene, &dialogue), 0);
    play(dialogue, scene, piece, most, ret);
    tcpm__dialogue_close(dialogue);
}

static inline void check_course(const struct scene *scene, const struct course *course)
{
    if (course->result != scene->result)
        fail_msg("%s: %d, not %d: %s", scene->proxy, course->result, scene->result, course->why);
    assert_string_equal(course->why, scene->why == NULL ? "" : scene->why);
    if (scene->sent.length > 0) {
        assert_int_equal(course->length, scene->sent.length);
        assert_memory_equal(course->sent, scene->sent.at, scene->sent.length);
    }
}

static inline size_t length_of_replies(const struct scene *scene)
{
    size_t length = 0;

    for (size_t i = 0; i < MOST_REPLIES; i++)
        length += scene->replies[i].length;
    return length;
}

/* The scene ends at its very last byte, but for the rest: before, it only wants more. */
static inline void check(const struct scene *scene)
{
    size_t rest = scene->rest == NULL ? 0 : strlen(scene->rest);
    size_t end = length_of_replies(scene) - rest;
    struct course course;

    play_once(scene, WHOLE, WHOLE, &course);
    check_course(scene, &course);
    assert_int_equal(course.used, end);
    play_once(scene, 1, WHOLE, &course);
    check_course(scene, &course);
    assert_int_equal(course.used, end);
    for (size_t most = 0; most < end; most++) {
        play_once(scene, WHOLE, most, &course);
        assert_int_equal(course.result, 0);
        assert_int_equal(course.used, most);
    }
}

static inline void check_all(const struct scene *scenes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&scenes[i]);
}

/* ---- requests and replies of SOCKS 5 ---- */

#define GREETING       "\5\1\0"
#define LOGIN_GREETING "\5\2\0\2"
#define LOGIN          "\1\2me\6secret"
#define BY_QUAD        "\5\1\0\1\12\0\0\1\40\373"
#define BY_NAME        "\5\1\0\3\6a.test\40\373"
#define BY_INET6       "\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\40\373"
#define GRANTED        "\5\0\0\1\0\0\0\0\0\0"
#define SIXTEEN        "0123456789abcdef"

/* ---- requests by CONNECT ---- */

#define REQUEST(target) "CONNECT " target " HTTP/1.1\r\nHost: " target "\r\n\r\n"
#define LOGIN_REQUEST(target, token)                      \
    "CONNECT " target " HTTP/1.1\r\nHost: " target "\r\n" \
    "Proxy-Authorization: Basic " token "\r\n\r\n"

#endif
