/* A model provider that costs next to nothing: one thread, epoll, fixed answers.

   upstream PORT          (0: any; the port is printed)

   .../messages, .../responses and .../chat/completions answer in their format: 1.2 kB of JSON, or, when the request
   has "stream":true, 200 text deltas, each written by itself.  A delta's text is "@" and the time in nanoseconds
   (CLOCK_MONOTONIC), always growing within a stream, so that a client knows how long it was on its way.  A request
   that holds PACE10 gets one delta each 10 ms; PACE10x1000 makes it 1,000 deltas. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGES, RESPONSES, CHAT, OTHER };
enum { DELTAS = 200, PACE = 10 * 1000000, MAX_FD = 65536, TEXT = 1000 };

typedef struct {
    char *in;
    size_t have, room;
    char *out;
    size_t out_at, out_len, out_room;
    int open, streaming, kind, next, count, paced, waiting;
    int64_t due, last;
    int slot;
} Conn;

static Conn conns[MAX_FD];
static int paced_fds[MAX_FD], paced_count;
static int ep;
static char *plain[4];
static size_t plain_len[4];

static char delta[3][512];
static size_t delta_len[3], delta_stamp[3], delta_number;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void prepare(void) {
    char text[TEXT + 1], body[4096];
    for (int i = 0; i < TEXT; i++) text[i] = "the quick brown fox "[i % 20];
    text[TEXT] = 0;
    const char *forms[4] = {
        "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-model\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,"
        "\"output_tokens\":200}}",
        "{\"id\":\"resp_01\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"completed\",\"model\":"
        "\"bench-model\",\"output\":[{\"type\":\"message\",\"id\":\"msg_01\",\"status\":\"completed\",\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"%s\",\"annotations\":[]}]}],"
        "\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"usage\":{\"input_tokens\":25,"
        "\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":200,\"output_tokens_details\":"
        "{\"reasoning_tokens\":0},\"total_tokens\":225}}",
        "{\"id\":\"chatcmpl-01\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench-model\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":200,\"total_tokens\":225}}",
        "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\"}],\"note\":\"%.0s\"}",
    };
    for (int k = 0; k < 4; k++) {
        int n = snprintf(body, sizeof body, forms[k], text);
        plain[k] = malloc(n + 256);
        plain_len[k] = sprintf(plain[k],
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: %d\r\n\r\n%s",
            n, body);
    }
}

static void close_conn(int fd) {
    Conn *c = &conns[fd];
    if (c->paced) {
        int last = paced_fds[--paced_count];
        paced_fds[c->slot] = last;
        conns[last].slot = c->slot;
    }
    close(fd);
    free(c->in);
    free(c->out);
    memset(c, 0, sizeof *c);
}

static void watch(int fd, int writing) {
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
    conns[fd].waiting = writing;
}

/* Return 1 when all is written, 0 when the socket is full, -1 when the connection is gone. */
static int put(int fd, const char *data, size_t len) {
    Conn *c = &conns[fd];
    ssize_t n = 0;
    if (c->out_len == c->out_at) {
        n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return -1;
            n = 0;
        }
        if ((size_t)n == len) return 1;
        c->out_at = c->out_len = 0;
    }
    size_t rest = len - n;
    if (c->out_len + rest > c->out_room) c->out = realloc(c->out, c->out_room = c->out_len + rest + 4096);
    memcpy(c->out + c->out_len, data + n, rest);
    c->out_len += rest;
    return 0;
}

static int flush(int fd) {
    Conn *c = &conns[fd];
    while (c->out_at < c->out_len) {
        ssize_t n = send(fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        c->out_at += n;
    }
    c->out_at = c->out_len = 0;
    return 1;
}

static size_t chunk(char *to, const char *body, size_t len) {
    size_t n = sprintf(to, "%zx\r\n", len);
    memcpy(to + n, body, len);
    memcpy(to + n + len, "\r\n", 2);
    return n + len + 2;
}

static void digits(char *to, int64_t value, int count) {
    while (count--) {
        to[count] = '0' + value % 10;
        value /= 10;
    }
}

static void prepare_deltas(void) {
    static const char *forms[3] = {
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"text_delta\",\"text\":\"@0000000000000000000 \"}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1000,"
        "\"item_id\":\"msg_01\",\"output_index\":0,\"content_index\":0,\"delta\":\"@0000000000000000000 \"}\n\n",
        "data: {\"id\":\"chatcmpl-01\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
        "\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@0000000000000000000 \"},"
        "\"finish_reason\":null}]}\n\n",
    };
    for (int k = 0; k < 3; k++) {
        delta_len[k] = chunk(delta[k], forms[k], strlen(forms[k]));
        delta_stamp[k] = strchr(delta[k], '@') + 1 - delta[k];
    }
    delta_number = strstr(delta[RESPONSES], ":1000,") + 1 - delta[RESPONSES];
}

static size_t event(char *to, int kind, int i, int count, int64_t stamp) {
    static const char *starts[3] = {
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\","
        "\"role\":\"assistant\",\"model\":\"bench-model\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
        "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":"
        "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
        "\"resp_01\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"in_progress\",\"model\":"
        "\"bench-model\",\"output\":[],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[]}}\n\n"
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,"
        "\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_01\",\"status\":\"in_progress\",\"role\":"
        "\"assistant\",\"content\":[]}}\n\nevent: response.content_part.added\ndata: {\"type\":"
        "\"response.content_part.added\",\"sequence_number\":2,\"item_id\":\"msg_01\",\"output_index\":0,"
        "\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}\n\n",
        "data: {\"id\":\"chatcmpl-01\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
        "\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
        "\"finish_reason\":null}]}\n\n",
    };
    static const char *ends[3] = {
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":"
        "{\"output_tokens\":200}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":9903,"
        "\"item_id\":\"msg_01\",\"output_index\":0,\"content_index\":0,\"text\":\"all\"}\n\n"
        "event: response.content_part.done\ndata: {\"type\":\"response.content_part.done\",\"sequence_number\":9904,"
        "\"item_id\":\"msg_01\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":"
        "\"all\",\"annotations\":[]}}\n\nevent: response.output_item.done\ndata: {\"type\":"
        "\"response.output_item.done\",\"sequence_number\":9905,\"output_index\":0,\"item\":{\"type\":\"message\","
        "\"id\":\"msg_01\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"all\",\"annotations\":[]}]}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\","
        "\"sequence_number\":9906,\"response\":{\"id\":\"resp_01\",\"object\":\"response\",\"created_at\":1700000000,"
        "\"status\":\"completed\",\"model\":\"bench-model\",\"output\":[{\"type\":\"message\",\"id\":\"msg_01\","
        "\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"all\","
        "\"annotations\":[]}]}],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"usage\":"
        "{\"input_tokens\":25,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":200,"
        "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":225}}}\n\n",
        "data: {\"id\":\"chatcmpl-01\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
        "\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"id\":\"chatcmpl-01\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
        "\"bench-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":200,"
        "\"total_tokens\":225}}\n\ndata: [DONE]\n\n",
    };
    if (i < 0) return chunk(to, starts[kind], strlen(starts[kind]));
    if (i == count) {
        size_t n = chunk(to, ends[kind], strlen(ends[kind]));
        memcpy(to + n, "0\r\n\r\n", 5);
        return n + 5;
    }
    memcpy(to, delta[kind], delta_len[kind]);
    digits(to + delta_stamp[kind], stamp, 19);
    if (kind == RESPONSES) digits(to + delta_number, 1000 + i, 4);
    return delta_len[kind];
}

/* Write the next events; return -1 when the connection is gone, 1 when the stream has ended, else 0. */
static int stream(int fd, int64_t time) {
    Conn *c = &conns[fd];
    char data[4096];
    while (c->next <= c->count) {
        if (c->paced && c->due > time) return 0;
        int64_t stamp = c->paced ? time : now();
        if (stamp <= c->last) stamp = c->last + 1;
        c->last = stamp;
        size_t n = event(data, c->kind, c->next, c->count, stamp);
        c->next++;
        c->due += PACE;
        int done = put(fd, data, n);
        if (done < 0) return -1;
        if (!done && !c->paced) {
            watch(fd, 1);
            return 0;
        }
        if (!done && !c->waiting) watch(fd, 1);
    }
    c->streaming = 0;
    if (c->paced) {
        int last = paced_fds[--paced_count];
        paced_fds[c->slot] = last;
        conns[last].slot = c->slot;
        c->paced = 0;
    }
    return 1;
}

static int answer(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    Conn *c = &conns[fd];
    size_t line = (char *)memchr(head, '\n', head_len) - head;
    c->kind = memmem(head, line, "/messages", 9)    ? MESSAGES
            : memmem(head, line, "/responses", 10)  ? RESPONSES
            : memmem(head, line, "/chat/comp", 10)  ? CHAT
                                                    : OTHER;
    int streams = c->kind != OTHER && (memmem(body, body_len, "\"stream\":true", 13) ||
                                       memmem(body, body_len, "\"stream\": true", 14));
    if (!streams) return put(fd, plain[c->kind], plain_len[c->kind]) < 0 ? -1 : 0;
    const char *pace = memmem(body, body_len, "PACE10", 6);
    c->streaming = 1;
    c->next = -1;
    c->count = DELTAS;
    c->last = 0;
    int64_t time = now();
    if (pace) {
        if (pace[6] == 'x') c->count = atoi(pace + 7);
        c->paced = 1;
        c->slot = paced_count;
        paced_fds[paced_count++] = fd;
        c->due = time - PACE;
    }
    static const char *first = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
                               "transfer-encoding: chunked\r\n\r\n";
    if (put(fd, first, strlen(first)) < 0) return -1;
    return stream(fd, time) < 0 ? -1 : 0;
}

/* Return the end of a chunked body, NULL when it is not all there; unpack it in place. */
static char *chunked(char *at, char *end, char *to, size_t *len) {
    *len = 0;
    for (;;) {
        char *eol = memmem(at, end - at, "\r\n", 2);
        if (!eol) return NULL;
        size_t size = strtoul(at, NULL, 16);
        at = eol + 2;
        if ((size_t)(end - at) < size + 2) return NULL;
        if (to) memmove(to + *len, at, size);
        *len += size;
        at += size + 2;
        if (!size) return at;
    }
}

static int requests(int fd) {
    Conn *c = &conns[fd];
    size_t at = 0;
    while (!c->streaming && at < c->have) {
        char *start = c->in + at, *end = c->in + c->have;
        char *body = memmem(start, end - start, "\r\n\r\n", 4);
        if (!body) break;
        body += 4;
        size_t length = 0;
        int in_chunks = 0;
        for (char *l = memchr(start, '\n', body - start); l && l + 1 < body; l = memchr(l + 1, '\n', body - l - 1)) {
            if (!strncasecmp(l + 1, "content-length:", 15)) length = strtoul(l + 16, NULL, 10);
            else if (!strncasecmp(l + 1, "transfer-encoding:", 18)) in_chunks = 1;
            else if (!strncasecmp(l + 1, "expect:", 7) && (size_t)(end - body) == 0)
                send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        }
        char *after;
        if (in_chunks) {
            if (!(after = chunked(body, end, NULL, &length))) break;
            chunked(body, end, body, &length);
        } else {
            if ((size_t)(end - body) < length) break;
            after = body + length;
        }
        if (answer(fd, start, body - start, body, length) < 0) return -1;
        at = after - c->in;
    }
    if (at) memmove(c->in, c->in + at, c->have - at);
    c->have -= at;
    return 0;
}

static int readable(int fd) {
    Conn *c = &conns[fd];
    for (;;) {
        if (c->room - c->have < 65536) c->in = realloc(c->in, c->room = c->room * 2 + 131072);
        ssize_t n = recv(fd, c->in + c->have, c->room - c->have, 0);
        if (n == 0) return -1;
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        c->have += n;
        if (requests(fd) < 0) return -1;
        if ((size_t)n < 65536) return 0;
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    prepare();
    prepare_deltas();
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    if (bind(listener, (void *)&a, size) || listen(listener, 4096)) {
        perror("upstream");
        return 1;
    }
    getsockname(listener, (void *)&a, &size);
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int wait = -1;
        if (paced_count) {
            int64_t first = INT64_MAX, time = now();
            for (int i = 0; i < paced_count; i++)
                if (conns[paced_fds[i]].due < first) first = conns[paced_fds[i]].due;
            wait = first <= time ? 0 : (int)((first - time + 999999) / 1000000);
        }
        int n = epoll_wait(ep, events, 512, wait);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                for (;;) {
                    int new = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                    if (new < 0) break;
                    if (new >= MAX_FD) {
                        close(new);
                        continue;
                    }
                    setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    conns[new].open = 1;
                    e.events = EPOLLIN;
                    e.data.fd = new;
                    epoll_ctl(ep, EPOLL_CTL_ADD, new, &e);
                }
                continue;
            }
            Conn *c = &conns[fd];
            if (!c->open) continue;
            int bad = 0;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) bad = readable(fd) < 0;
            if (!bad && (events[i].events & EPOLLOUT)) {
                int done = flush(fd);
                if (done < 0) bad = 1;
                else if (done) {
                    watch(fd, 0);
                    if (c->streaming && !c->paced) {
                        int ended = stream(fd, now());
                        bad = ended < 0 || (ended && requests(fd) < 0);
                    }
                }
            }
            if (bad) close_conn(fd);
        }
        int64_t time = now();
        for (int i = paced_count - 1; i >= 0; i--) {
            int fd = paced_fds[i];
            if (conns[fd].due > time) continue;
            int ended = stream(fd, time);
            if (ended < 0 || (ended && requests(fd) < 0)) close_conn(fd);
        }
    }
}
