/* Who is called what: the half of the container's name server that reads questions and writes answers. What it knows
 * are plain files.
 *
 *     networks/NAME/hosts     "172.18.0.2 web 0123456789ab db": who is called what (minidock/network/names.py)
 *     dns.conf                "network NAME<tab>PATH", "link NAME ALIAS", "server ADDRESS": read again at each question,
 *                             so that nobody has to tell us when a container comes or goes
 *
 * Questions come from inside the container, and answers from servers that we don't know: both are hostile. Of either we
 * read the header and the first question, with every length checked; the rest is passed on as it is.
 * RFC 1035 has the format. Part of shim.c. */

enum { DNS_HEADER = 12, MESSAGE = 4096, NAME_SIZE = 256, MAX_SERVERS = 6, MAX_ADDRESSES = 32, MAX_PENDING = 128 };
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_AAAA = 28, CLASS_IN = 1, FORMERR = 1, SERVFAIL = 2, TTL = 600 };
enum { PATIENCE_MS = 2000, TICK_MS = 250 };

struct question {
    char name[NAME_SIZE]; /* lower case, labels with dots between them, none at the end */
    int type, class;
    size_t end; /* of the question in the message */
};

/* What is known about a name, or an address. */
struct known {
    bool found;
    int count;
    unsigned char addresses[MAX_ADDRESSES][16];
    char name[NAME_SIZE];
};

static const char *dns_config;

/* Reading a message. */

static unsigned get16(const unsigned char *at) { return (unsigned)(at[0] << 8 | at[1]); }

static bool question_read(const unsigned char *message, size_t length, struct question *question)
{
    size_t at = DNS_HEADER, used = 0;

    if (length < DNS_HEADER || (message[2] & 0x80) != 0 || get16(message + 4) == 0)
        return false;
    for (;;) {
        if (at >= length)
            return false;
        size_t label = message[at++];
        if (label == 0)
            break;
        /* 0xC0: a pointer to elsewhere in the message, which a question has no use for */
        if (label > 63 || at + label > length || used + label + 2 > sizeof question->name)
            return false;
        if (used > 0)
            question->name[used++] = '.';
        for (size_t index = 0; index < label; index++) {
            unsigned char letter = message[at + index];
            if (letter < ' ' || letter == '.' || letter >= 0x7f)
                letter = '?'; /* no name of ours has it; what is passed on are the bytes themselves */
            question->name[used++] = (char)tolower(letter);
        }
        at += label;
    }
    question->name[used] = '\0';
    if (at + 4 > length)
        return false;
    question->type = (int)get16(message + at);
    question->class = (int)get16(message + at + 2);
    question->end = at + 4;
    return true;
}

/* Looking it up. */

/* The name without ".NETWORK" at its end, when it has that: "web.shop" is web in the network shop. */
static void bare_name(const char *name, const char *network, char bare[NAME_SIZE])
{
    size_t length = strlen(name), suffix = strlen(network);

    snprintf(bare, NAME_SIZE, "%s", name);
    if (length > suffix + 1 && name[length - suffix - 1] == '.' && strcasecmp(name + length - suffix, network) == 0)
        bare[length - suffix - 1] = '\0';
}

static void links_follow(char name[NAME_SIZE])
{
    char line[1024], target[NAME_SIZE], alias[NAME_SIZE];
    FILE *file = fopen(dns_config, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "link %255s %255s", target, alias) == 2 && strcasecmp(alias, name) == 0) {
            snprintf(name, NAME_SIZE, "%s", target);
            break;
        }
    if (file != NULL)
        fclose(file);
}

/* One network's hosts file: the addresses of a name, or the name of an address (`wanted`). */
static void hosts_search(const char *path, const char *name, int family, const void *wanted, struct known *known)
{
    size_t size = family == AF_INET ? 4 : 16;
    char line[4096], *rest;
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned char address[16];
        char *text = strtok_r(line, " \n", &rest), *word;
        bool ours = text != NULL && inet_pton(family, text, address) == 1;
        if (wanted != NULL && ours && memcmp(address, wanted, size) == 0 && (word = strtok_r(NULL, " \n", &rest))) {
            known->found = true;
            snprintf(known->name, sizeof known->name, "%s", word);
            break;
        }
        while (wanted == NULL && text != NULL && (word = strtok_r(NULL, " \n", &rest)) != NULL)
            if (strcasecmp(word, name) == 0) {
                known->found = true;
                if (ours && known->count < MAX_ADDRESSES)
                    memcpy(known->addresses[known->count++], address, size);
                break;
            }
    }
    if (file != NULL)
        fclose(file);
}

/* The first of the container's networks that knows it. */
static void networks_search(const char *name, int family, const void *wanted, struct known *known)
{
    char line[PATH_MAX + NAME_SIZE + 16], network[NAME_SIZE], bare[NAME_SIZE];
    FILE *file = fopen(dns_config, "re");
    int path = 0;

    while (!known->found && file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "network %255[^\t] %n", network, &path) != 1)
            continue;
        line[strcspn(line, "\n")] = '\0';
        bare_name(name, network, bare);
        links_follow(bare);
        hosts_search(line + path, bare, family, wanted, known);
        if (known->found && wanted != NULL) {
            size_t used = strlen(known->name);
            snprintf(known->name + used, sizeof known->name - used, ".%s", network);
        }
    }
    if (file != NULL)
        fclose(file);
}

/* "2.0.18.172.in-addr.arpa", "1.0.…8.b.d.0.1.0.0.2.ip6.arpa": the family of the address asked about, or 0. */
static int reverse_read(const char *name, unsigned char address[16])
{
    unsigned byte[4];
    int end = 0;

    if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &byte[3], &byte[2], &byte[1], &byte[0], &end) == 4
        && end > 0 && name[end] == '\0') {
        for (int index = 0; index < 4; index++)
            address[index] = (unsigned char)byte[index];
        return AF_INET;
    }
    if (strlen(name) != 72 || strcmp(name + 63, ".ip6.arpa") != 0)
        return 0;
    for (int index = 0; index < 32; index++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, name[2 * (31 - index)]);
        if (digit == NULL || *digit == '\0')
            return 0;
        long half = digit - digits;
        address[index / 2] = (unsigned char)(index % 2 == 0 ? half << 4 : address[index / 2] | half);
    }
    return AF_INET6;
}

/* Writing an answer. */

static size_t put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
    return 2;
}

/* Header and question, without any answer; returns the length. */
static size_t answer_begin(const unsigned char *asked, size_t end, int code, unsigned char *answer)
{
    memcpy(answer, asked, end);
    answer[2] = (unsigned char)(0x80 | (asked[2] & 0x79)); /* an answer; the same opcode, recursion as desired */
    answer[3] = (unsigned char)(0x80 | code);              /* recursion is available */
    put16(answer + 4, end > DNS_HEADER ? 1 : 0);
    memset(answer + 6, 0, 6);
    return end;
}

static size_t record_begin(unsigned char *at, int type, size_t length)
{
    size_t used = put16(at, 0xC000 | DNS_HEADER); /* the name is that of the question */

    used += put16(at + used, (unsigned)type);
    used += put16(at + used, CLASS_IN);
    used += put16(at + used, 0);
    used += put16(at + used, TTL);
    return used + put16(at + used, (unsigned)length);
}

static size_t put_name(unsigned char *at, const char *name)
{
    size_t used = 0;

    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        if (label > 0 && label < 64) {
            at[used++] = (unsigned char)label;
            memcpy(at + used, name, label);
            used += label;
        }
        name += label + (name[label] == '.');
    }
    at[used++] = 0;
    return used;
}

/* The answer's length when it is ours to give; 0 when others must be asked. `answer` has room for MESSAGE. */
static size_t dns_answer(const unsigned char *asked, size_t length, unsigned char *answer)
{
    static unsigned turn; /* several containers may share an alias: each is first once */
    struct question question;
    struct known known = {.found = false};
    unsigned char address[16];

    if (!question_read(asked, length, &question))
        return answer_begin(asked, DNS_HEADER, FORMERR, answer);
    if (question.class != CLASS_IN)
        return 0;
    int family = question.type == TYPE_PTR ? reverse_read(question.name, address) : 0;
    if (family != 0)
        networks_search("", family, address, &known);
    else
        networks_search(question.name, question.type == TYPE_AAAA ? AF_INET6 : AF_INET, NULL, &known);
    if (!known.found)
        return 0;
    size_t used = answer_begin(asked, question.end, 0, answer);
    int count = question.type == TYPE_A || question.type == TYPE_AAAA ? known.count : 0;
    size_t size = question.type == TYPE_A ? 4 : 16;
    for (int index = 0; index < count; index++) {
        used += record_begin(answer + used, question.type, size);
        memcpy(answer + used, known.addresses[((unsigned)index + turn) % (unsigned)count], size);
        used += size;
    }
    turn++;
    if (family != 0) {
        unsigned char name[NAME_SIZE + 2];
        size_t named = put_name(name, known.name);
        used += record_begin(answer + used, TYPE_PTR, named);
        memcpy(answer + used, name, named);
        used += named;
        count = 1;
    }
    put16(answer + 6, (unsigned)count);
    return used;
}
