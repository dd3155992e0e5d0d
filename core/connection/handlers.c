/* SPDX-License-Identifier: MIT */
/*
 * Posts, and the calls of the user's tasks. A post of a handler runs right after that handler.
 *
 * What always holds: posts run in the order in which they were made, and each post is run once or
 * dropped once.
 */
#include "connection/record.h"

#include <errno.h>

void tcpm__task_drop(struct tcpm_engine *engine, const struct tcpm_task *task)
{
    if (task->drop == NULL)
        return;
    engine->delivery.calling_back++;
    task->drop(task->argument);
    engine->delivery.calling_back--;
}

void tcpm__task_run(struct tcpm_session *session, const struct tcpm_task *task)
{
    tcpm__handler_enter(session->engine);
    task->run(session, session->options.user, task->argument);
    tcpm__handler_leave(session->engine);
}

void tcpm__posts_init(struct tcpm__posts *posts)
{
    posts->first = NULL;
    posts->last = &posts->first;
}

/* A post made in a handler runs when the handler has returned; a post made in a post, or outside of
   all handlers, runs in the next turn of the loop. */
int tcpm__posts_add(struct tcpm_session *session, struct tcpm_task task)
{
    struct tcpm_engine *engine = session->engine;
    bool soon = engine->delivery.handler_depth > 0 && !engine->tasks.running_posts;
    struct tcpm__posts *posts = soon ? &engine->tasks.posts : &engine->tasks.next_posts;
    struct tcpm__post *post = tcpm__memory_resize(&engine->memory, NULL, sizeof *post);

    if (post == NULL)
        return -ENOMEM;
    *post = (struct tcpm__post){.session = session, .task = task};
    tcpm__list_append(&session->posts, &post->in_session);
    *posts->last = post;
    posts->last = &post->next;
    tcpm__work_add(engine);
    return 0;
}

/* Runs the posts that are in the list at the call. When a session dies meanwhile, its posts are
   dropped, and stay in the list without a session until they are met here. */
void tcpm__posts_run(struct tcpm_engine *engine, struct tcpm__posts *posts)
{
    struct tcpm__post *end = NULL;

    if (posts->first == NULL || engine->tasks.running_posts)
        return;
    engine->tasks.running_posts = true;
    end = TCPM__CONTAINER(posts->last, struct tcpm__post, next);
    for (bool last = false; !last;) {
        struct tcpm__post *post = posts->first;

        last = post == end;
        posts->first = post->next;
        if (posts->first == NULL)
            posts->last = &posts->first;
        if (post->session != NULL) {
            tcpm__list_remove(&post->in_session);
            tcpm__task_run(post->session, &post->task);
        }
        tcpm__memory_free(&engine->memory, post);
        tcpm__work_done(engine);
    }
    engine->tasks.running_posts = false;
}

void tcpm__posts_drop(struct tcpm_session *session)
{
    while (!tcpm__list_empty(&session->posts)) {
        struct tcpm__post *post =
            TCPM__CONTAINER(session->posts.next, struct tcpm__post, in_session);

        tcpm__list_remove(&post->in_session);
        post->session = NULL;
        tcpm__task_drop(session->engine, &post->task);
    }
}
