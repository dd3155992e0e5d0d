/* SPDX-License-Identifier: MIT */
/*
 * The middle level of this layer (record < flow < life): the two directions in which bytes move,
 * from the attempt to the last acknowledgement, and the calls of handlers, alarms and signals. A
 * function of this level may decide that a connection ends, but never destroys one: a connection
 * stays valid after the call.
 */
#ifndef TCPM_CONNECTION_FLOW_H
#define TCPM_CONNECTION_FLOW_H

#include "connection/attempt.h"
#include "transport/host_name.h"

/* ---- events.c: every call of a connection's handler ---- */
/* options: those that tcpm_connect() got. */
void tcpm__event_initialize(struct tcpm__connection *connection,
                            const struct tcpm_connect_options *options);
/* passage: of the connection, if there was one; NULL: none. */
void tcpm__event_success(struct tcpm__connection *connection, const struct tcpm__passage *passage);
void tcpm__event_input(struct tcpm__connection *connection, const void *record, size_t length);
void tcpm__event_flushed(struct tcpm__connection *connection);
void tcpm__event_eof(struct tcpm__connection *connection);
/* Delivers the event that tells the cause: failure, error, timeout or eof, if there is one. */
void tcpm__event_cause(struct tcpm__connection *connection);
void tcpm__event_disconnected(struct tcpm__connection *connection);
void tcpm__event_secure(struct tcpm__connection *connection);

/* ---- tasks.c: alarms, signals ---- */
/* Sets an alarm. connection: its end drops the alarm; NULL: only the session's end does. 0, or
   -ENOMEM. */
int tcpm__alarm_add(struct tcpm_session *session, struct tcpm__connection *connection,
                    uint64_t due_ns, struct tcpm_task task, struct tcpm__alarm **ret);
/* Makes the alarm a beat, which runs first at the time of the alarm, then once in each period. */
void tcpm__alarm_repeat(struct tcpm__alarm *alarm, const struct tcpm_beat *beat,
                        uint64_t period_ns);
/* Moves the alarm to another time. */
void tcpm__alarm_adjust(struct tcpm__alarm *alarm, uint64_t due_ns);
/* Frees the alarm, and drops its task. */
void tcpm__alarm_remove(struct tcpm__alarm *alarm);
/* Runs the alarms that are due. */
void tcpm__alarm_expire(struct tcpm_engine *engine);
/* Drops the alarms of the connection. */
void tcpm__tasks_drop_connection(struct tcpm__connection *connection);
/* Drops the posts, alarms and signals of the session. */
void tcpm__tasks_drop_session(struct tcpm_session *session);
/* Makes the task run at each such signal; a task without a function ends that. 0, or negative. */
int tcpm__signal_set(struct tcpm_session *session, int signum, struct tcpm_task task);

/* ---- input.c: bytes received to records ---- */
/* Cuts the bytes of a read into records, and delivers those. In front of bytes there must be
   TCPM__READ_HEADROOM bytes of memory that may be written to. */
void tcpm__input_cut_read(struct tcpm__connection *connection, char *bytes, size_t length);
/* Reads from the socket as much as one round allows; for the rest the connection goes to the
   backlog. A connection that is in the backlog is left alone. */
void tcpm__input_read(struct tcpm__connection *connection);
/* As tcpm__input_read, also for a backlogged connection. True: its read budget is used up and the
   socket still has data. */
bool tcpm__input_read_round(struct tcpm__connection *connection);
/* The input's part of a step: delivers records that were kept, reads, concludes the input. */
void tcpm__input_step(struct tcpm__connection *connection);
/* The connection whose input is being delivered; NULL: none. */
static inline struct tcpm__connection *tcpm__input_of(const struct tcpm_engine *engine)
{
    return engine->delivery.chunk == NULL ? NULL : engine->delivery.chunk->connection;
}
/* The chunk that is being delivered, if its bytes are this connection's; else NULL. */
static inline struct tcpm__chunk *tcpm__input_chunk(const struct tcpm__connection *connection)
{
    struct tcpm__chunk *chunk = tcpm__engine_of(connection)->delivery.chunk;

    return chunk != NULL && chunk->connection == connection ? chunk : NULL;
}
/* Cuts the next record for the handler that runs, of the input that is being delivered. False:
   there is none, or something else comes first. */
bool tcpm__input_next(struct tcpm__connection *connection, const void **record, size_t *length);
/* Accounts for a change of connection->input. before: its length before the change. */
void tcpm__input_account(struct tcpm__connection *connection, size_t before);
/* Whether so many bytes more may be held without exceeding max_memory. */
bool tcpm__input_fits(const struct tcpm_engine *engine, size_t length);
void tcpm__input_free(struct tcpm__connection *connection);

/* ---- finish.c: the last record ---- */
/* After the end of the input: delivers the record that the filter makes of the bytes left. False:
   nothing was delivered, so the end may be told. The caller accounts for the input. */
bool tcpm__input_finish(struct tcpm__connection *connection);

/* ---- input_calls.c: the user's calls about the input ---- */
/* Pauses the input, or resumes it. */
void tcpm__input_pause(struct tcpm__connection *connection, bool pause);
/* Lets the filter look at all bytes from the beginning of the current record again. */
void tcpm__input_refilter(struct tcpm__connection *connection);
/* Changes filters; NULL: that direction keeps its filter. 0, or the error of a filter that cannot
   be opened, and then nothing has changed. */
int tcpm__input_change_filters(struct tcpm__connection *connection, struct tcpm_filter *input,
                               struct tcpm_filter *output);
/* Makes the next record one of so many bytes. TCPM_NONE: as the filter cuts. */
void tcpm__input_take(struct tcpm__connection *connection, int64_t length);
/* Puts bytes in front of the input. 0, -ENOBUFS or -ENOMEM. */
int tcpm__input_unread(struct tcpm__connection *connection, const void *bytes, size_t length);
/* Shows the bytes received that are not yet a record. Valid until the next call for this input. */
void tcpm__input_pending(struct tcpm__connection *connection, const char **bytes, size_t *length);
/* Drops the next byte of the input if it is this one. */
void tcpm__input_swallow(struct tcpm__connection *connection, unsigned char byte);

/* ---- linger.c: bytes that the peer has acknowledged, and the end of a flush ---- */
/* Goes on with a flush whose queue is empty: sends FIN, waits for acknowledgements, ends. */
void tcpm__linger_step(struct tcpm__connection *connection);
/* Sends FIN if the sending half is shut, after the last bytes of the layer. */
void tcpm__linger_send_fin(struct tcpm__connection *connection);
/* Takes the event that the socket of a lingering connection is writable. */
void tcpm__linger_writable(struct tcpm__connection *connection);
/* A look: asks the kernel which bytes are acknowledged. True: more than at the last look. In
   FLUSHING such progress restarts the timeout. */
bool tcpm__linger_check_acknowledged(struct tcpm__connection *connection);
/* Restarts the input timeout if the peer has acknowledged more of an upload. */
void tcpm__linger_count_progress(struct tcpm__connection *connection);
/* Finds out, before another send, whether the upload of earlier sends is over. */
void tcpm__linger_check_upload(struct tcpm__connection *connection);

/* ---- output.c: records to bytes sent ---- */
/* Encodes the records, and sends or queues the bytes. 0; 1: the queue is above high_mark; or
   negative, and then nothing was taken. */
int tcpm__output_send(struct tcpm__connection *connection, const struct tcpm_record *records,
                      size_t count);
/* Sends bytes of the queue, as many as the kernel takes and one round allows. */
void tcpm__output_flush(struct tcpm__connection *connection);
/* Sends the bytes that the option cork holds back. Called before the loop polls. */
void tcpm__output_uncork(struct tcpm_engine *engine);
/* Delivers the event flushed, if it is owed. */
void tcpm__output_report_flushed(struct tcpm__connection *connection);
/* The output's part of a step: sends, delivers flushed, sends FIN, goes on with the flush. */
void tcpm__output_step(struct tcpm__connection *connection);
void tcpm__output_free(struct tcpm__connection *connection);

/* ---- race.c: several addresses, one winner ---- */
/* Lets the connection wait for a place again if the error is a lack of descriptors that may end.
   number: that of the request. False: the error is another one. */
bool tcpm__race_put_back(struct tcpm__connection *connection, int code, uint64_t number);
/* Starts the next address now, where one is left. The connection fails when nothing is under way
   and no answer is to come. */
void tcpm__race_go_on(struct tcpm__connection *connection);
/* Lets the race go on by itself, unless its time is set: after the delay of attempts; or while no
   socket is under way, after the delay of resolution. */
void tcpm__race_go_on_later(struct tcpm__connection *connection);
/* The race's time has come: starts the next address, or gives up a socket whose share is over. */
void tcpm__race_go_on_in_time(struct tcpm__connection *connection);
/* The address that a socket of the attempt connects to. */
void tcpm__race_peer(const struct tcpm__connection *connection, struct tcpm__socket *socket,
                     union tcpm__address *ret);
/* Makes the socket, which is connected, the connection's own, and drops all others. Needed only
   where the connection has a struct tcpm__rare. 0, or negative: the connection has to fail. */
int tcpm__race_win(struct tcpm__connection *connection, struct tcpm__socket *socket);
/* Drops a socket that has failed, and starts the next address. to_itself: the kernel had connected
   the socket to itself. */
void tcpm__race_lose(struct tcpm__connection *connection, struct tcpm__socket *socket, int code,
                     bool to_itself);

/* ---- resolve.c: from the name of a target to its addresses ---- */
/* Looks the name up, and begins the race with what is answered. There must be an attempt. */
void tcpm__resolve_start(struct tcpm__connection *connection, const char *name);

/* ---- hops.c: what the proxies are told ---- */
/* Finds for each hop what it is to connect to. True: all is found. False: a look-up runs, or the
   connection has failed. */
bool tcpm__hops_find(struct tcpm__connection *connection);
/* As tcpm__hops_find, when the look-up that runs has found something. */
bool tcpm__hops_go_on(struct tcpm__connection *connection);
/* Tells what the hop connects to, in ret; a name lies in name. */
void tcpm__hops_target(const struct tcpm__connection *connection, unsigned hop,
                       char name[TCPM__HOST_NAME_SIZE], struct tcpm__proxy_target *ret);

/* ---- proxies.c: dialogues with proxies ---- */
/* Begins the dialogues, or goes on with them. 1: the way to the target is free; 0: it is not yet;
   negative: the connection has failed. */
int tcpm__proxies_begin(struct tcpm__connection *connection);
int tcpm__proxies_go_on(struct tcpm__connection *connection);
/* Writes which dialogue an error has cut off. False: none is under way. */
bool tcpm__proxies_explain(const struct tcpm__connection *connection, int code,
                           char why[TCPM__DIALOGUE_WHY]);

/* ---- starttls.c: TLS in the middle of a stream ---- */
/* Lets TLS begin behind the bytes that are queued now. server_name: NULL: the target as given. 0,
   or negative, and then nothing has changed. */
int tcpm__starttls_begin(struct tcpm__connection *connection, struct tcpm_tls *tls,
                         const char *server_name);
/* The step of a connection that is SECURING: the handshake begins when all before it is sent. */
void tcpm__starttls_step(struct tcpm__connection *connection);
/* The handshake is over. */
void tcpm__starttls_secured(struct tcpm__connection *connection);

/* ---- reach.c: from a connected socket to success ---- */
/* Begins what lies between, if something does; else delivers success. */
void tcpm__reach_begin(struct tcpm__connection *connection);
/* Goes on, as the socket has news. True: it is over, and success was delivered. */
bool tcpm__reach_go_on(struct tcpm__connection *connection);
void tcpm__reach_succeed(struct tcpm__connection *connection);
/* Does those steps of handshakes that there is time for in this turn. Called before the loop
   polls. */
void tcpm__reach_serve(struct tcpm_engine *engine);

/* ---- attempt.c: from the address to success or failure ---- */
/* Starts to connect. number: that of the request, for the case that it has to wait again. */
void tcpm__attempt_start(struct tcpm__connection *connection, uint64_t number);
/* Goes on with an attempt through proxies, when a look-up may have found something. */
void tcpm__attempt_go_on(struct tcpm__connection *connection);
/* Takes the result of the connect of one of the connection's sockets: 0, or negative. A socket that
   is racing may be gone afterwards. */
void tcpm__attempt_connected(struct tcpm__connection *connection, struct tcpm__socket *socket,
                             int status);

#endif
