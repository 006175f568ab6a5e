/* The clients of attach.sock. Both directions carry frames (docs/architecture.md, "The wire"):
 *
 *     type  0  0  0  length, u32 big endian  payload…
 *
 * Types 1 and 2 are Docker's own multiplexed stream. A client that reads slowly gets a queue; when that is long, we
 * stop reading from the container, which then waits in write(2): nothing is ever lost. Part of shim.c. */

enum frame {
    FRAME_STDIN = 0,
    FRAME_CLOSE_STDIN = 10,
    FRAME_RESIZE = 11,
    FRAME_OWNER = 12,
    FRAME_NAMES = 13,
    FRAME_PORT = 14,
    FRAME_NO_PORTS = 15,
    FRAME_EXIT = 20
};
enum { MAX_CLIENTS = 128, QUEUE_LIMIT = 1024 * 1024, HEADER = 8, PORT_SIZE = 7 };

static struct client {
    int fd;              /* -1: this place is free */
    struct buffer queue; /* frames that it hasn't taken yet */
    bool deaf;           /* writing to it failed; what it has sent is still read to the end */
    bool owner;          /* promised to clean up after the exit */
    bool gives_input;    /* the first client, and all that have sent some: for --stdin-once */
    bool waits;          /* its input is ahead of the container: not read until the queue is empty again */

    /* The frame that is coming in. Input is passed on as it comes; the payload of all others is short. */
    unsigned char header[HEADER], payload[PORT_SIZE];
    size_t header_length;
    uint32_t size, left;
} clients[MAX_CLIENTS];

static int passed[2] = {-1, -1}; /* descriptors that came with the bytes that are being read */

static void passed_close(void)
{
    for (int index = 0; index < 2; index++) {
        if (passed[index] >= 0)
            close(passed[index]);
        passed[index] = -1;
    }
}

static void client_drop(struct client *client)
{
    close(client->fd);
    buffer_free(&client->queue);
    if (client->gives_input && options.stdin_once)
        input_end();
    *client = (struct client){.fd = -1};
}

static void client_flush(struct client *client)
{
    while (client->queue.length > 0 && !client->deaf) {
        ssize_t sent = send(client->fd, client->queue.bytes + client->queue.start, client->queue.length,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            client->deaf = true;
        else
            buffer_consume(&client->queue, (size_t)sent);
    }
    if (client->deaf)
        buffer_free(&client->queue);
}

static void client_send(struct client *client, unsigned char type, const void *payload, size_t length)
{
    unsigned char header[HEADER] = {type};
    uint32_t size = htobe32((uint32_t)length);
    struct iovec parts[] = {{header, HEADER}, {(void *)(uintptr_t)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = 0;

    memcpy(header + 4, &size, sizeof size);
    if (client->deaf)
        return;
    if (client->queue.length == 0) /* the usual case: it keeps up, and nothing needs to be copied */
        sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        client->deaf = true;
        return;
    }
    for (int part = 0; part < 2; part++) { /* queue what sendmsg(2) has left over */
        size_t done = sent <= 0 ? 0 : (size_t)sent < parts[part].iov_len ? (size_t)sent : parts[part].iov_len;
        sent -= (ssize_t)done;
        if (done < parts[part].iov_len
            && !buffer_append(&client->queue, (char *)parts[part].iov_base + done, parts[part].iov_len - done))
            client->deaf = true; /* no memory: half a frame would be worse than none */
    }
}

static void clients_send(unsigned char type, const void *payload, size_t length)
{
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++)
        if (client->fd >= 0)
            client_send(client, type, payload, length);
}

static bool clients_full(void)
{
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++)
        if (client->fd >= 0 && client->queue.length > QUEUE_LIMIT)
            return true;
    return false;
}

static bool frame_allowed(const struct client *client)
{
    const unsigned char *header = client->header;

    if (header[1] != 0 || header[2] != 0 || header[3] != 0)
        return false;
    return header[0] == FRAME_STDIN || (header[0] == FRAME_CLOSE_STDIN && client->size == 0)
        || (header[0] == FRAME_NAMES && client->size == 0) || (header[0] == FRAME_NO_PORTS && client->size == 0)
        || (header[0] == FRAME_PORT && client->size == PORT_SIZE)
        || (header[0] == FRAME_RESIZE && client->size == 4) || (header[0] == FRAME_OWNER && client->size == 1);
}

static void frame_complete(struct client *client)
{
    const unsigned char *payload = client->payload;

    if (client->header[0] == FRAME_CLOSE_STDIN)
        input_end();
    else if (client->header[0] == FRAME_RESIZE)
        terminal_resize((unsigned)payload[0] << 8 | payload[1], (unsigned)payload[2] << 8 | payload[3]);
    else if (client->header[0] == FRAME_OWNER)
        client->owner = payload[0] != 0;
    else if (client->header[0] == FRAME_NAMES && dns_open(passed[0], passed[1]))
        passed[0] = passed[1] = -1;
    else if (client->header[0] == FRAME_PORT && port_take(passed[0], payload))
        passed[0] = -1;
    else if (client->header[0] == FRAME_NO_PORTS)
        ports_drop();
}

/* Bytes from a client, in whatever pieces they come. False: they aren't frames, or there is no memory for them. */
static bool client_take(struct client *client, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        if (client->header_length < HEADER) {
            client->header[client->header_length++] = *bytes++;
            length--;
            if (client->header_length < HEADER)
                continue;
            memcpy(&client->size, client->header + 4, sizeof client->size);
            client->size = client->left = be32toh(client->size);
            if (!frame_allowed(client))
                return false;
        }
        size_t taken = length < client->left ? length : client->left;
        if (client->header[0] == FRAME_STDIN) {
            client->gives_input = true;
            if (!input_take(bytes, taken))
                return false;
            client->waits = input_full();
        } else
            memcpy(client->payload + client->size - client->left, bytes, taken);
        bytes += taken;
        length -= taken;
        client->left -= (uint32_t)taken;
        if (client->left == 0) {
            frame_complete(client);
            client->header_length = 0;
        }
    }
    return true;
}

static void client_read(struct client *client)
{
    static unsigned char bytes[16 * 1024];
    char control[CMSG_SPACE(sizeof passed)];
    struct iovec payload = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(passed, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    if (length <= 0 || !client_take(client, bytes, (size_t)length))
        client_drop(client);
    passed_close();
}

/* A free place, or NULL: then new clients wait in the socket's backlog. */
static struct client *client_place(void)
{
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++)
        if (client->fd < 0)
            return client;
    return NULL;
}

static struct client *client_add(int fd)
{
    struct client *client = client_place();

    *client = (struct client){.fd = fd};
    return client;
}
