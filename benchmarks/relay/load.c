/* Asks again and again on a number of connections and prints what it saw as one line of JSON.

   load PORT PATH BODY_FILE CONNECTIONS SECONDS WARM [HEADER ...]

   WARM seconds come first and do not count.  When there were less than 20 answers, it goes on up to four times as long.
   Each connection sends its next request when its answer has ended.
   Latencies are of whole answers; in answers with "@TIME" marks (see upstream.c) also to the first mark, and from a
   mark's own time to its arrival.  A mark counts when it is later than the one before in the same answer. */

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

enum { HEAD = 32768, BUCKETS = 64 * 64 };
enum { IN_HEAD, IN_BODY, UNTIL_CLOSE, SIZE, DATA, DATA_END, TRAILER };

typedef struct {
    int fd, state, status, marked, close_after, ready;
    char head[HEAD];
    size_t head_len, sent, left;
    int64_t began, last, stamp;
    int digits;
    char line[32];
    int line_len;
} Conn;

typedef struct {
    uint64_t bucket[BUCKETS], count;
    double sum;
} Hist;

static Conn *conns;
static char *request;
static size_t request_len;
static int ep, port, measuring;
static uint64_t answers, errors, refused, reconnects, marks, bytes;
static Hist whole, first, delay;
static const char *problem = "";
static char sample[160];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* 64 steps for each power of two: within 1.6 %. */
static void add(Hist *h, int64_t ns) {
    if (!measuring) return;
    uint64_t v = ns < 64 ? 64 : ns;
    int power = 63 - __builtin_clzll(v);
    int i = (power - 6) * 64 + (int)((v >> (power - 6)) & 63);
    h->bucket[i < BUCKETS ? i : BUCKETS - 1]++;
    h->count++;
    h->sum += ns;
}

static double quantile(Hist *h, double q) {
    uint64_t seen = 0, want = (uint64_t)(q * h->count);
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > want) return (double)((uint64_t)(64 + i % 64) << (i / 64)) / 1e6;
    }
    return 0;
}

static void print(const char *name, Hist *h) {
    if (!h->count) return;
    printf(",\"%s\":{\"count\":%llu,\"mean\":%.4f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f}", name,
           (unsigned long long)h->count, h->sum / h->count / 1e6, quantile(h, .5), quantile(h, .9), quantile(h, .99),
           quantile(h, .999));
}

static void watch(Conn *c, int writing) {
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void connect_one(Conn *c) {
    int one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->ready = 0;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    connect(c->fd, (void *)&a, sizeof a);
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static int send_rest(Conn *c) {
    while (c->sent < request_len) {
        ssize_t n = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return -1;
            watch(c, 1);
            return 0;
        }
        c->sent += n;
    }
    if (!c->ready) {
        c->ready = 1;
        watch(c, 0);
    }
    return 0;
}

static int begin(Conn *c) {
    c->state = IN_HEAD;
    c->head_len = c->sent = 0;
    c->marked = c->digits = c->close_after = 0;
    c->last = 0;
    c->began = now();
    return send_rest(c);
}

static void again(Conn *c, const char *why, int is_error) {
    if (is_error && measuring) {
        errors++;
        problem = why;
    }
    if (measuring) reconnects++;
    close(c->fd);
    if (is_error) usleep(1000);
    connect_one(c);
}

/* Look for "@" and 19 digits; both may come in pieces. */
static void scan(Conn *c, const char *at, const char *end) {
    while (at < end) {
        if (!c->digits) {
            at = memchr(at, '@', end - at);
            if (!at) return;
            at++;
            c->digits = 1;
            c->stamp = 0;
            continue;
        }
        if (*at < '0' || *at > '9') {
            c->digits = 0;
            continue;
        }
        c->stamp = c->stamp * 10 + (*at++ - '0');
        if (++c->digits <= 19) continue;
        c->digits = 0;
        if (c->stamp <= c->last) continue;
        c->last = c->stamp;
        int64_t time = now();
        if (measuring) marks++;
        if (!c->marked) {
            c->marked = 1;
            add(&first, time - c->began);
        }
        add(&delay, time - c->stamp);
    }
}

static int ended(Conn *c) {
    int64_t took = now() - c->began;
    if (measuring) {
        answers++;
        if (c->status != 200) {
            refused++;
            if (!sample[0]) snprintf(sample, sizeof sample, "status %d", c->status);
        }
    }
    add(&whole, took);
    if (c->close_after) {
        again(c, "", 0);
        return 1;
    }
    return begin(c) < 0 ? -1 : 0;
}

/* Return -1 for an unsound answer, 1 when the connection was replaced, else 0. */
static int feed(Conn *c, char *at, char *end) {
    while (at < end) {
        switch (c->state) {
        case IN_HEAD: {
            size_t before = c->head_len, take = end - at;
            if (take > HEAD - 1 - before) take = HEAD - 1 - before;
            if (!take) return -1;
            memcpy(c->head + before, at, take);
            c->head_len += take;
            char *stop = memmem(c->head, c->head_len, "\r\n\r\n", 4);
            if (!stop) {
                at += take;
                break;
            }
            at += (stop + 4 - c->head) - before;
            stop[2] = 0;
            c->status = atoi(c->head + 9);
            if (c->status < 200) {
                c->head_len = 0;
                break;
            }
            char *length = strcasestr(c->head, "\r\ncontent-length:");
            c->close_after = strcasestr(c->head, "\r\nconnection: close") != NULL;
            c->line_len = 0;
            if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) c->state = SIZE;
            else if (length) {
                c->left = strtoul(length + 17, NULL, 10);
                c->state = IN_BODY;
                if (!c->left) {
                    int done = ended(c);
                    if (done) return done;
                }
            } else c->state = UNTIL_CLOSE;
            break;
        }
        case IN_BODY: {
            size_t take = (size_t)(end - at) < c->left ? (size_t)(end - at) : c->left;
            if (c->status != 200 && !strchr(sample, '{')) snprintf(sample, sizeof sample, "status %d: %.*s", c->status, (int)(take < 120 ? take : 120), at);
            scan(c, at, at + take);
            at += take;
            c->left -= take;
            if (!c->left) {
                int done = ended(c);
                if (done) return done;
            }
            break;
        }
        case UNTIL_CLOSE:
            scan(c, at, end);
            at = end;
            break;
        case SIZE:
            if (*at == '\n') {
                c->line[c->line_len] = 0;
                c->left = strtoul(c->line, NULL, 16);
                c->state = c->left ? DATA : TRAILER;
                c->line_len = 0;
            } else if (c->line_len < 31) c->line[c->line_len++] = *at;
            at++;
            break;
        case DATA: {
            size_t take = (size_t)(end - at) < c->left ? (size_t)(end - at) : c->left;
            scan(c, at, at + take);
            at += take;
            c->left -= take;
            if (!c->left) c->state = DATA_END;
            break;
        }
        case DATA_END:
            if (*at++ == '\n') c->state = SIZE;
            break;
        case TRAILER:
            if (*at == '\n') {
                at++;
                if (c->line_len <= 1) {
                    int done = ended(c);
                    if (done) return done;
                }
                c->line_len = 0;
            } else {
                c->line_len++;
                at++;
            }
            break;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 7) return 2;
    signal(SIGPIPE, SIG_IGN);
    port = atoi(argv[1]);
    int count = atoi(argv[4]);
    double seconds = atof(argv[5]), warm = atof(argv[6]);
    FILE *f = fopen(argv[3], "rb");
    if (!f) return 2;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    request = malloc(size + 8192);
    request_len = sprintf(request, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
                                   "content-length: %ld\r\n", argv[2], port, size);
    for (int i = 7; i < argc; i++) request_len += sprintf(request + request_len, "%s\r\n", argv[i]);
    request_len += sprintf(request + request_len, "\r\n");
    request_len += fread(request + request_len, 1, size, f);
    fclose(f);
    conns = calloc(count, sizeof *conns);
    ep = epoll_create1(0);
    int64_t start = now(), from = start + (int64_t)(warm * 1e9), until = from + (int64_t)(seconds * 1e9), time = start;
    int64_t limit = until + (int64_t)(3 * seconds * 1e9);
    int open = 0;
    char *buffer = malloc(1 << 18);
    struct epoll_event events[512];
    while (time < until || (answers < 20 && time < limit)) {
        /* Connections begin one after another over 10 ms, so that paced streams do not beat together. */
        while (open < count && time - start >= (int64_t)open * 10000000 / count) connect_one(&conns[open++]);
        int n = epoll_wait(ep, events, 512, open < count ? 0 : 100);
        for (int i = 0; i < n; i++) {
            Conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                int bad = 0;
                socklen_t len = sizeof bad;
                if (!c->ready) getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &bad, &len);
                if (bad || (c->sent && c->sent < request_len ? send_rest(c) : c->ready ? 0 : begin(c)) < 0) {
                    again(c, "connect", 1);
                    continue;
                }
            }
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            ssize_t got = recv(c->fd, buffer, 1 << 18, 0);
            if (got > 0) {
                if (measuring) bytes += got;
                if (feed(c, buffer, buffer + got) < 0) again(c, "unsound answer", 1);
            } else if (got == 0 && c->state == UNTIL_CLOSE) {
                c->close_after = 1;
                ended(c);
            } else if (got == 0 || errno != EAGAIN) {
                int fresh = c->state == IN_HEAD && !c->head_len;
                again(c, fresh ? "closed without an answer" : "cut", 1);
            }
        }
        time = now();
        if (!measuring && time >= from) {
            measuring = 1;
            from = time;
        }
    }
    double took = (time - from) / 1e9;
    printf("{\"seconds\":%.3f,\"connections\":%d,\"answers\":%llu,\"rate\":%.1f,\"errors\":%llu,\"refused\":%llu,"
           "\"reconnects\":%llu,\"events\":%llu,\"event_rate\":%.1f,\"bytes\":%llu",
           took, count, (unsigned long long)answers, answers / took, (unsigned long long)errors,
           (unsigned long long)refused, (unsigned long long)reconnects, (unsigned long long)marks, marks / took,
           (unsigned long long)bytes);
    print("latency_ms", &whole);
    print("first_ms", &first);
    print("delay_ms", &delay);
    for (char *p = sample; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32) *p = '\'';
    printf(",\"problem\":\"%s\",\"sample\":\"%s\"}\n", problem, sample);
    return 0;
}
