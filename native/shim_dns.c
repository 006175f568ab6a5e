/* The container's name server, as far as sockets are concerned: what it knows itself (shim_names.c) it answers, all
 * else it asks of others. Part of shim.c. */

static struct {
    struct source udp, tcp, timer;
} dns = {.udp.fd = -1, .tcp.fd = -1, .timer.fd = -1};

/* Asking others: one socket a question, so each has a source port of its own that nobody can guess. */

struct pending {
    struct source source;
    struct pending *next;
    struct sockaddr_in from;
    int server; /* which of dns.conf's is being asked */
    struct timespec deadline;
    size_t length;
    unsigned char message[];
};

static struct pending *pending;
static int pending_count;

/* The server of that number in dns.conf; the size of its address, 0 when there is none. */
static socklen_t server_address(int number, struct sockaddr_storage *address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    char line[1024], text[128];
    FILE *file = fopen(dns_config, "re");
    socklen_t size = 0;

    memset(address, 0, sizeof *address);
    while (file != NULL && size == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "server %127s", text) != 1 || number-- > 0)
            continue;
        if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons(53);
            size = sizeof *four;
        } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons(53);
            size = sizeof *six;
        } else
            break;
    }
    if (file != NULL)
        fclose(file);
    return size;
}

static void pending_end(struct pending *one)
{
    struct pending **link = &pending;

    while (*link != one)
        link = &(*link)->next;
    *link = one->next;
    if (one->source.fd >= 0)
        close(one->source.fd);
    free(one);
    if (--pending_count == 0)
        timerfd_settime(dns.timer.fd, 0, &(struct itimerspec){{0, 0}, {0, 0}}, NULL);
}

static void give_up(struct pending *one)
{
    unsigned char answer[MESSAGE];
    struct question question;

    if (question_read(one->message, one->length, &question)) {
        size_t length = answer_begin(one->message, question.end, SERVFAIL, answer);
        sendto(dns.udp.fd, answer, length, MSG_DONTWAIT, (struct sockaddr *)&one->from, sizeof one->from);
    }
    pending_end(one);
}

static void pending_ready(struct source *source, uint32_t events);

/* Ask the next server that can be asked; without one the question has failed. */
static void ask_next(struct pending *one)
{
    struct sockaddr_storage server;
    socklen_t size;

    if (one->source.fd >= 0)
        close(one->source.fd);
    one->source.fd = -1;
    while (++one->server < MAX_SERVERS && (size = server_address(one->server, &server)) > 0) {
        int fd = socket(server.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        one->source = (struct source){fd, pending_ready};
        if (fd >= 0 && connect(fd, (struct sockaddr *)&server, size) == 0
            && send(fd, one->message, one->length, 0) == (ssize_t)one->length && net_watch(&one->source, EPOLLIN)) {
            clock_gettime(CLOCK_MONOTONIC, &one->deadline);
            one->deadline.tv_sec += PATIENCE_MS / 1000;
            return;
        }
        if (fd >= 0)
            close(fd);
        one->source.fd = -1;
    }
    give_up(one);
}

static void pending_ready(struct source *source, uint32_t events)
{
    struct pending *one = (struct pending *)source;
    static unsigned char answer[64 * 1024];
    ssize_t length = recv(source->fd, answer, sizeof answer, MSG_DONTWAIT);

    (void)events;
    if (length < 0 && errno == EAGAIN)
        return;
    if (length >= DNS_HEADER && (memcmp(answer, one->message, 2) != 0 || (answer[2] & 0x80) == 0))
        return; /* not the answer to this question: it may still come */
    if (length < DNS_HEADER || (answer[3] & 0x0f) == SERVFAIL) {
        ask_next(one);
        return;
    }
    sendto(dns.udp.fd, answer, (size_t)length, MSG_DONTWAIT, (struct sockaddr *)&one->from, sizeof one->from);
    pending_end(one);
}

static void timer_ready(struct source *source, uint32_t events)
{
    struct timespec now;
    uint64_t ticks;
    struct pending *next;

    (void)events;
    if (read(source->fd, &ticks, sizeof ticks) < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (struct pending *one = pending; one != NULL; one = next) {
        next = one->next;
        if (now.tv_sec > one->deadline.tv_sec
            || (now.tv_sec == one->deadline.tv_sec && now.tv_nsec >= one->deadline.tv_nsec))
            ask_next(one);
    }
}

static void pass_on(const unsigned char *message, size_t length, const struct sockaddr_in *from)
{
    struct pending *one = pending_count < MAX_PENDING ? malloc(sizeof *one + length) : NULL;
    const struct itimerspec ticking = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};

    if (one == NULL)
        return; /* UDP may lose things; whoever asked will ask again */
    *one = (struct pending){{-1, pending_ready}, .next = pending, .from = *from, .server = -1, .length = length};
    memcpy(one->message, message, length);
    pending = one;
    if (pending_count++ == 0)
        timerfd_settime(dns.timer.fd, 0, &ticking, NULL);
    ask_next(one);
}

static void udp_ready(struct source *source, uint32_t events)
{
    unsigned char asked[MESSAGE], answer[2 * MESSAGE];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(source->fd, asked, sizeof asked, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

    (void)events;
    if (length < DNS_HEADER)
        return;
    size_t answered = dns_answer(asked, (size_t)length, answer);
    if (answered > 0)
        sendto(source->fd, answer, answered, MSG_DONTWAIT, (struct sockaddr *)&from, size);
    else
        pass_on(asked, (size_t)length, &from);
}

/* Over TCP: two bytes of length, then the message. What is ours is answered here; with the first question for others
 * the whole connection is linked with a server (shim_net.c). */

struct asker {
    struct source source;
    size_t have;
    unsigned char bytes[2 + MESSAGE];
};

static int askers;

static void asker_end(struct asker *asker)
{
    close(asker->source.fd);
    free(asker);
    askers--;
}

static void asker_ready(struct source *source, uint32_t events)
{
    struct asker *asker = (struct asker *)source;
    unsigned char answer[2 + 2 * MESSAGE];
    ssize_t count = recv(source->fd, asker->bytes + asker->have, sizeof asker->bytes - asker->have, MSG_DONTWAIT);

    (void)events;
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        asker_end(asker);
        return;
    }
    asker->have += (size_t)count;
    while (asker->have >= 2 && asker->have >= 2 + get16(asker->bytes)) {
        size_t length = get16(asker->bytes);
        size_t answered = length < DNS_HEADER ? 0 : dns_answer(asker->bytes + 2, length, answer + 2);
        if (answered == 0) {
            struct sockaddr_storage server;
            socklen_t size = length < DNS_HEADER ? 0 : server_address(0, &server);
            int fd = size > 0 ? fcntl(source->fd, F_DUPFD_CLOEXEC, 0) : -1;
            /* out of epoll by hand: it knows open files, and ours stays open under the new number */
            epoll_ctl(net_fd, EPOLL_CTL_DEL, source->fd, NULL);
            if (fd >= 0)
                link_start(fd, (struct sockaddr *)&server, size, asker->bytes, asker->have, 1);
            asker_end(asker);
            return;
        }
        put16(answer, (unsigned)answered);
        if (send(source->fd, answer, answered + 2, MSG_DONTWAIT) != (ssize_t)answered + 2) {
            asker_end(asker);
            return;
        }
        asker->have -= 2 + length;
        memmove(asker->bytes, asker->bytes + 2 + length, asker->have);
    }
    if (asker->have == sizeof asker->bytes)
        asker_end(asker); /* longer than any question is */
}

static void tcp_ready(struct source *source, uint32_t events)
{
    int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct asker *asker = fd >= 0 && askers < MAX_PENDING ? calloc(1, sizeof *asker) : NULL;

    (void)events;
    if (asker == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    asker->source = (struct source){fd, asker_ready};
    askers++;
    if (!net_watch(&asker->source, EPOLLIN))
        asker_end(asker);
}

/* No more questions: nobody is left to ask. Our sockets hold the container's network namespace, and with it the
 * cable between that and the bridge. */
static void dns_close(void)
{
    struct source *sources[] = {&dns.udp, &dns.tcp, &dns.timer};

    for (int index = 0; index < 3; index++) {
        if (sources[index]->fd >= 0)
            close(sources[index]->fd);
        sources[index]->fd = -1;
    }
}

/* Answer at these sockets from now on. True when they are ours: whoever brought them must not close them. */
static bool dns_open(int udp, int tcp)
{
    if (dns_config == NULL || udp < 0 || tcp < 0 || dns.udp.fd >= 0)
        return false;
    fcntl(tcp, F_SETFL, O_NONBLOCK);
    dns.udp = (struct source){udp, udp_ready};
    dns.tcp = (struct source){tcp, tcp_ready};
    dns.timer = (struct source){timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), timer_ready};
    if (!net_watch(&dns.udp, EPOLLIN) || !net_watch(&dns.tcp, EPOLLIN) || !net_watch(&dns.timer, EPOLLIN))
        dns_close();
    return true;
}
