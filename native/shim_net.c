/* What the shim does for the container's network, beside its streams: it passes connections on that the kernel can't
 * rewrite (to ::1, and from IPv6 to a container that has IPv4 only), datagrams of that kind (shim_udp.c), and answers
 * questions for names (shim_dns.c).
 *
 * All sockets of this kind are in one epoll(7) instance, and that is one more descriptor in the shim's poll(2) loop. A
 * shim without published ports and names has none of it. Events are taken one by one, so nothing that an event has
 * freed can have another event waiting.
 * Part of shim.c. */

enum { CHUNK = 64 * 1024, MAX_LINKS = 160, TURNS = 64 };

/* A descriptor and what is to be done when it is ready; the first member of whatever it belongs to. */
struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
};

static int net_fd = -1; /* the epoll instance; -1 as long as nothing is watched */

static bool net_watch(struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (net_fd < 0)
        net_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_ctl(net_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

static void net_change(struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    epoll_ctl(net_fd, EPOLL_CTL_MOD, source->fd, &event);
}

static void net_handle(void)
{
    struct epoll_event event;

    for (int turn = 0; turn < TURNS && epoll_wait(net_fd, &event, 1, 0) == 1; turn++) {
        struct source *source = event.data.ptr;
        source->ready(source, event.events);
    }
}

/* A link: two connections, and what comes in at one goes out at the other, by way of a pipe each (splice(2): the bytes
 * are never copied into our memory). */

struct way {
    int pipe[2];
    size_t held; /* bytes in the pipe */
    bool ended;  /* nothing more comes in */
    bool closed; /* and that has been passed on */
};

struct end {
    struct source source;
    struct link *link;
};

struct link {
    struct end ends[2]; /* who has come to us; whom he wants */
    struct way ways[2]; /* from ends[i] to the other */
    bool connecting;
    int next_server; /* whom of dns.conf's to try when this one can't be reached; 0: nobody else is wanted */
};

struct door {
    struct source source;
    struct sockaddr_in to;
    struct door *next;
};

static struct door *doors;
static int links;

static void doors_watch(bool open)
{
    for (struct door *door = doors; door != NULL; door = door->next)
        net_change(&door->source, open ? EPOLLIN : 0);
}

static void link_close(struct link *link)
{
    for (int side = 0; side < 2; side++) {
        if (link->ends[side].source.fd >= 0)
            close(link->ends[side].source.fd);
        for (int hole = 0; hole < 2; hole++)
            if (link->ways[side].pipe[hole] >= 0)
                close(link->ways[side].pipe[hole]);
    }
    free(link);
    if (links-- == MAX_LINKS)
        doors_watch(true);
}

/* Move what can be moved; false when the link is broken. */
static bool way_pump(struct way *way, int from, int to)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    bool moved = true;

    for (int turn = 0; moved && turn < TURNS; turn++) {
        moved = false;
        if (way->held == 0 && !way->ended) {
            ssize_t count = splice(from, NULL, way->pipe[1], NULL, CHUNK, flags);
            if (count < 0 && errno != EAGAIN)
                return false;
            way->ended = count == 0;
            way->held = count > 0 ? (size_t)count : 0;
            moved = count > 0;
        }
        if (way->held > 0) {
            ssize_t count = splice(way->pipe[0], NULL, to, NULL, way->held, flags);
            if (count < 0 && errno != EAGAIN)
                return false;
            way->held -= count > 0 ? (size_t)count : 0;
            moved = moved || count > 0;
        }
    }
    if (way->ended && way->held == 0 && !way->closed) {
        shutdown(to, SHUT_WR);
        way->closed = true;
    }
    return true;
}

/* Wait for what would let us go on, and for nothing else: epoll tells again and again what is not taken. */
static void link_watch(struct link *link)
{
    for (int side = 0; side < 2; side++) {
        const struct way *out = &link->ways[side], *in = &link->ways[1 - side];
        uint32_t events = 0;
        if (!link->connecting && out->held == 0 && !out->ended)
            events |= EPOLLIN;
        if (in->held > 0 || (link->connecting && side == 1))
            events |= EPOLLOUT;
        net_change(&link->ends[side].source, events);
    }
}

static socklen_t server_address(int number, struct sockaddr_storage *address);

static bool link_connect(struct link *link, const struct sockaddr *to, socklen_t size)
{
    struct source *there = &link->ends[1].source;

    there->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->next_server > 0) /* a server that says nothing at all: 3 seconds, not the 130 of the kernel's six tries */
        setsockopt(there->fd, IPPROTO_TCP, TCP_SYNCNT, &(int){1}, sizeof(int));
    return there->fd >= 0 && (connect(there->fd, to, size) == 0 || errno == EINPROGRESS) && net_watch(there, EPOLLOUT);
}

/* A name server that can't be reached: the question is still in the pipe, and goes to the next one that can. */
static bool link_turn(struct link *link)
{
    struct sockaddr_storage server;
    socklen_t size;

    while (link->next_server > 0 && (size = server_address(link->next_server++, &server)) > 0) {
        if (link->ends[1].source.fd >= 0)
            close(link->ends[1].source.fd);
        if (link_connect(link, (struct sockaddr *)&server, size))
            return true;
    }
    return false;
}

static void link_ready(struct source *source, uint32_t events)
{
    struct link *link = ((struct end *)source)->link;
    int here = link->ends[0].source.fd, there = link->ends[1].source.fd;

    if (link->connecting && source == &link->ends[1].source) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(there, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            if (!link_turn(link))
                link_close(link);
            return;
        }
        link->connecting = false;
    }
    bool whole = link->connecting
        || (way_pump(&link->ways[0], here, there) && way_pump(&link->ways[1], there, here));
    bool over = link->ways[0].closed && link->ways[1].closed;
    /* A reset comes without anything to read; with one way closed already nobody else would tell us. */
    if (!whole || over || ((events & EPOLLERR) != 0) || ((events & EPOLLHUP) != 0 && link->connecting))
        link_close(link);
    else
        link_watch(link);
}

/* From now on `fd` is linked with a new connection to that address. `first`: bytes that were read from it already. */
static void link_start(int fd, const struct sockaddr *to, socklen_t size, const void *first, size_t length,
                       int next_server)
{
    struct link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        close(fd);
        return;
    }
    links++;
    for (int side = 0; side < 2; side++) {
        link->ends[side] = (struct end){{side == 0 ? fd : -1, link_ready}, link};
        link->ways[side].pipe[0] = link->ways[side].pipe[1] = -1;
    }
    bool made = true;
    for (int side = 0; made && side < 2; side++)
        made = pipe2(link->ways[side].pipe, O_CLOEXEC | O_NONBLOCK) == 0;
    if (made && length > 0)
        made = write(link->ways[0].pipe[1], first, length) == (ssize_t)length;
    link->ways[0].held = length;
    link->connecting = true;
    link->next_server = next_server;
    if (!made || !net_watch(&link->ends[0].source, 0) || !(link_connect(link, to, size) || link_turn(link)))
        link_close(link);
    else if (links == MAX_LINKS)
        doors_watch(false);
}

static void door_ready(struct source *source, uint32_t events)
{
    struct door *door = (struct door *)source;
    int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0)
        link_start(fd, (struct sockaddr *)&door->to, sizeof door->to, NULL, 0, 0);
}

static void usage_error(const char *message, const char *what);
static int descriptor(const char *option, const char *text);

/* "FD=ADDRESS:PORT" behind the option: the descriptor, and where in the container it leads. */
static int target_read(const char *option, char *text, struct sockaddr_in *to)
{
    char *equals = strchr(text, '='), *colon = strrchr(text, ':');

    if (equals == NULL || colon == NULL || colon < equals)
        usage_error("no FD=ADDRESS:PORT after ", option);
    *equals = *colon = '\0';
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    if (inet_pton(AF_INET, equals + 1, &to->sin_addr) != 1)
        usage_error("no IPv4 address after ", option);
    return descriptor(option, text);
}

static bool door_add(int fd, const struct sockaddr_in *to)
{
    struct door *door = calloc(1, sizeof *door);

    if (door == NULL)
        return false;
    *door = (struct door){{fd, door_ready}, *to, doors};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    doors = door;
    return net_watch(&door->source, EPOLLIN);
}

/* --proxy FD=ADDRESS:PORT: what connects to the listening socket FD is linked with that port of the container. */
static void door_open(char *text)
{
    struct sockaddr_in to;
    int fd = target_read("--proxy", text, &to);

    if (!door_add(fd, &to))
        usage_error("can't watch the socket of ", "--proxy");
}
