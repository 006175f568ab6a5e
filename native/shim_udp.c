/* Datagrams that the kernel can't rewrite: to ::1, and over IPv6 to a container that has IPv4 only. Each client gets a
 * socket towards the container, by whose port the answers are told apart, until it has been silent for a while.
 * Part of shim.c. */

enum { MAX_FLOWS = 128, SILENT_S = 90, DATAGRAM = 64 * 1024, AT_ONCE = 16 };

/* The published port. */
struct gate {
    struct source source;
    struct sockaddr_in to;
    struct gate *next;
};

static struct gate *gates;

struct flow {
    struct source source; /* towards the container */
    struct gate *gate;
    struct sockaddr_in6 from; /* who asks, and which of the host's addresses: the answer must come from there */
    struct in6_pktinfo at;
    time_t used;
    struct flow *next;
};

static struct flow *flows; /* the last used one first */
static int flow_count;

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Into the container's network as from the host; and back out. */

static void flow_ready(struct source *source, uint32_t events)
{
    struct flow *flow = (struct flow *)source;
    static char bytes[DATAGRAM];
    union {
        char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        struct cmsghdr aligned;
    } control = {{0}};

    (void)events;
    for (int turn = 0; turn < AT_ONCE; turn++) {
        /* An error is the container's "nobody listens there": UDP tells nobody, and neither do we. */
        ssize_t length = recv(source->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (length < 0)
            return;
        struct iovec all = {bytes, (size_t)length};
        struct msghdr message = {.msg_name = &flow->from, .msg_namelen = sizeof flow->from, .msg_iov = &all,
                                 .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){CMSG_LEN(sizeof flow->at), IPPROTO_IPV6, IPV6_PKTINFO};
        memcpy(CMSG_DATA(header), &flow->at, sizeof flow->at);
        sendmsg(flow->gate->source.fd, &message, MSG_DONTWAIT);
        flow->used = seconds();
    }
}

static void flows_forget(bool one_more)
{
    struct flow **link = &flows;
    time_t now = seconds();

    while (*link != NULL) {
        struct flow *flow = *link;
        if (now - flow->used < SILENT_S && !(one_more && flow->next == NULL && flow_count >= MAX_FLOWS)) {
            link = &flow->next;
            continue;
        }
        *link = flow->next;
        close(flow->source.fd);
        free(flow);
        flow_count--;
    }
}

static void flows_end(void)
{
    while (flows != NULL) {
        struct flow *flow = flows;
        flows = flow->next;
        close(flow->source.fd);
        free(flow);
    }
    flow_count = 0;
}

static struct flow *flow_new(struct gate *gate, const struct sockaddr_in6 *from, const struct in6_pktinfo *at)
{
    flows_forget(true);
    struct flow *flow = calloc(1, sizeof *flow);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (flow != NULL && fd >= 0) {
        *flow = (struct flow){{fd, flow_ready}, gate, *from, *at, seconds(), flows};
        if (connect(fd, (struct sockaddr *)&gate->to, sizeof gate->to) == 0 && net_watch(&flow->source, EPOLLIN)) {
            flow_count++;
            return flows = flow;
        }
    }
    if (fd >= 0)
        close(fd);
    free(flow);
    return NULL; /* the datagram is lost, as UDP may */
}

/* The client's flow, now the first one. */
static struct flow *flow_of(struct gate *gate, const struct sockaddr_in6 *from, const struct in6_pktinfo *at)
{
    for (struct flow **link = &flows; *link != NULL; link = &(*link)->next) {
        struct flow *flow = *link;
        if (flow->gate == gate && flow->from.sin6_port == from->sin6_port
            && memcmp(&flow->from.sin6_addr, &from->sin6_addr, sizeof from->sin6_addr) == 0
            && memcmp(&flow->at.ipi6_addr, &at->ipi6_addr, sizeof at->ipi6_addr) == 0) {
            *link = flow->next;
            flow->next = flows;
            flow->used = seconds();
            return flows = flow;
        }
    }
    return flow_new(gate, from, at);
}

static void gate_ready(struct source *source, uint32_t events)
{
    static char bytes[DATAGRAM];
    union {
        char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        struct cmsghdr aligned;
    } control;

    (void)events;
    for (int turn = 0; turn < AT_ONCE; turn++) {
        struct sockaddr_in6 from;
        struct in6_pktinfo at = {.ipi6_ifindex = 0};
        struct iovec all = {bytes, sizeof bytes};
        struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &all, .msg_iovlen = 1,
                                 .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t length = recvmsg(source->fd, &message, MSG_DONTWAIT);
        if (length < 0)
            return;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO)
            memcpy(&at, CMSG_DATA(header), sizeof at);
        if (!IN6_IS_ADDR_LINKLOCAL(&at.ipi6_addr))
            at.ipi6_ifindex = 0; /* the answer's way is the routes' to say, which needn't be the question's */
        struct flow *flow = flow_of((struct gate *)source, &from, &at);
        if (flow != NULL && send(flow->source.fd, bytes, (size_t)length, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED)
            send(flow->source.fd, bytes, (size_t)length, MSG_DONTWAIT); /* that was the answer to an earlier one */
    }
}

static bool gate_add(int fd, const struct sockaddr_in *to)
{
    const int on = 1;
    struct gate *gate = calloc(1, sizeof *gate);

    if (gate == NULL)
        return false;
    *gate = (struct gate){{fd, gate_ready}, *to, gates};
    gates = gate;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0 && net_watch(&gate->source, EPOLLIN);
}

/* --proxy-udp FD=ADDRESS:PORT: what comes in at the bound socket FD goes to that port of the container, and back. */
static void gate_open(char *text)
{
    struct sockaddr_in to;
    int fd = target_read("--proxy-udp", text, &to);

    if (!gate_add(fd, &to))
        usage_error("can't watch the socket of ", "--proxy-udp");
}

/* A port of the host that is only kept from others: the kernel rewrites what comes for it. */
struct port {
    int fd;
    struct port *next;
};

static struct port *ports;

static bool port_hold(int fd)
{
    struct port *port = calloc(1, sizeof *port);

    if (port == NULL)
        return false;
    *port = (struct port){fd, ports};
    ports = port;
    return true;
}

/* --port-fd FD: such a socket. */
static void port_keep(const char *text)
{
    if (!port_hold(descriptor("--port-fd", text)))
        usage_error("no memory for ", "--port-fd");
}

/* A port that is published while the container runs. What to do with it, then IPv4 address and port, as on the wire:
 * nothing but hold it (0), or pass on what comes over TCP (1) or UDP (2). True when the socket is ours. */
static bool port_take(int fd, const unsigned char *told)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    memcpy(&to.sin_addr, told + 1, 4);
    memcpy(&to.sin_port, told + 5, 2);
    return fd >= 0 && ((told[0] == 0 && port_hold(fd)) || (told[0] == 1 && door_add(fd, &to)) || (told[0] == 2 && gate_add(fd, &to)));
}

/* The container has left the network on which they were published: the host may have them again. What is linked stays
 * linked, as connections that the kernel rewrites do, and breaks by itself. */
static void ports_drop(void)
{
    while (doors != NULL) {
        struct door *door = doors;
        doors = door->next;
        close(door->source.fd);
        free(door);
    }
    flows_end();
    while (gates != NULL) {
        struct gate *gate = gates;
        gates = gate->next;
        close(gate->source.fd);
        free(gate);
    }
    while (ports != NULL) {
        struct port *port = ports;
        ports = port->next;
        close(port->fd);
        free(port);
    }
}
