/* What programs in the container see of its limits (--show-limits): RUNDIR/view-meminfo and view-stat are mounted over
 * the kernel's files. minidock/engine/limits_view.py writes them; what they tell of *use* is written here, every second:
 * what the cgroup has of memory, and what its processes have run. Numbers stand in columns, so that each is written in
 * its place: the files never change their length, and whoever reads one meanwhile finds every line whole. Part of shim.c. */

enum { VIEW_MS = 1000, VIEW_MAX = 1 << 17, COLUMN = 20 };

static struct {
    const char *memory, *processors; /* directories of the cgroup; NULL: not shown */
    long due, looked;                /* moments of milliseconds() */
    unsigned long long user, system; /* what had been run then, in microseconds */
    unsigned long long shown[3];     /* user, system and idle time of each processor, in microseconds */
} view;

static int view_wait(void)
{
    if ((view.memory == NULL && view.processors == NULL) || !init_alive())
        return -1;
    long left = view.due - milliseconds();
    return left < 0 ? 0 : (int)left;
}

/* The whole of a file as a string, for the moment: the next call takes the room. NULL when it can't be read. */
static char *view_read(int directory, const char *name, char room[VIEW_MAX])
{
    size_t length = 0;
    ssize_t count;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return NULL;
    while (length < VIEW_MAX - 1 && (count = read(fd, room + length, VIEW_MAX - 1 - length)) > 0)
        length += (size_t)count;
    close(fd);
    room[length] = '\0';
    return room;
}

/* The line that begins with `name`, which ends with what separates it from its number. */
static char *view_line(char *text, const char *name)
{
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            return line + strlen(name);
    return NULL;
}

static unsigned long long view_number(char *text, const char *name)
{
    char *found = text == NULL ? NULL : view_line(text, name);
    return found == NULL ? 0 : strtoull(found, NULL, 10);
}

/* A number of one of the two files of a cgroup: the kernel's version 2 has one name, version 1 another. */
static unsigned long long view_single(int directory, const char *name, const char *older)
{
    static char room[VIEW_MAX];
    char *text = view_read(directory, name, room);

    if (text == NULL && older != NULL)
        text = view_read(directory, older, room);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static unsigned long long view_either(char *text, const char *name, const char *older)
{
    return text != NULL && view_line(text, older) != NULL ? view_number(text, older) : view_number(text, name);
}

/* Kibibytes into the line of /proc/meminfo, right-aligned before " kB" as they are there. */
static void view_put(char *text, const char *name, unsigned long long bytes)
{
    char digits[COLUMN + 1], *from = view_line(text, name), *unit = from == NULL ? NULL : strstr(from, " kB");
    int length = snprintf(digits, sizeof digits, "%llu", bytes / 1024);

    if (unit == NULL || unit - from < length)
        return;
    memset(from, ' ', (size_t)(unit - from));
    memcpy(unit - length, digits, (size_t)length);
}

static unsigned long long without(unsigned long long whole, unsigned long long part)
{
    return part > whole ? 0 : whole - part;
}

static void view_memory(char *text, int cgroup)
{
    static char room[VIEW_MAX];
    unsigned long long used = view_single(cgroup, "memory.current", "memory.usage_in_bytes");
    char *stat = view_read(cgroup, "memory.stat", room);
    unsigned long long cached = view_either(stat, "file ", "total_cache ");
    unsigned long long active = view_either(stat, "active_file ", "total_active_file ");
    unsigned long long inactive = view_either(stat, "inactive_file ", "total_inactive_file ");
    unsigned long long total = view_number(text, "MemTotal:") * 1024, swap = view_number(text, "SwapTotal:") * 1024;
    unsigned long long swapped = stat != NULL && view_line(stat, "total_swap ") != NULL
                                     ? view_number(stat, "total_swap ")
                                     : view_single(cgroup, "memory.swap.current", NULL);

    view_put(text, "MemFree:", without(total, used));
    view_put(text, "MemAvailable:", without(total, without(used, active + inactive)));
    view_put(text, "Cached:", cached);
    view_put(text, "Active(file):", active);
    view_put(text, "Inactive(file):", inactive);
    view_put(text, "AnonPages:", view_either(stat, "anon ", "total_rss "));
    view_put(text, "Shmem:", view_either(stat, "shmem ", "total_shmem "));
    view_put(text, "SwapFree:", without(swap, swapped));
}

/* What the container has run since the last time, evenly on the processors that it is shown; they were idle otherwise.
 * The first time that is since the machine is up, as in /proc/uptime. */
static void view_ran(char *text, int cgroup)
{
    static char room[VIEW_MAX];
    char *stat = view_read(cgroup, "cpu.stat", room);
    unsigned long long scale = 1, count = 0, now = (unsigned long long)milliseconds(), user, system;

    if (stat == NULL || view_line(stat, "user_usec ") == NULL) {
        stat = view_read(cgroup, "cpuacct.stat", room); /* version 1: in hundredths of a second (time(7), USER_HZ) */
        scale = 10000;
    }
    user = scale * view_either(stat, "user_usec ", "user ");
    system = scale * view_either(stat, "system_usec ", "system ");
    for (char *line = text; (line = strstr(line, "cpu")) != NULL; line += 3)
        count += line[3] != ' ';
    if (count == 0)
        return;
    unsigned long long ran[] = {without(user, view.user) / count, without(system, view.system) / count};
    view.shown[0] += ran[0];
    view.shown[1] += ran[1];
    view.shown[2] += without((now - (unsigned long long)view.looked) * 1000, ran[0] + ran[1]);
    view.user = user, view.system = system, view.looked = (long)now;
}

/* A number into its column; `place` is behind the one before. */
static char *view_column(char *place, unsigned long long number)
{
    char column[COLUMN + 2];

    if (strlen(place) <= COLUMN)
        return place;
    snprintf(column, sizeof column, " %*llu", COLUMN - 1, number);
    memcpy(place, column, COLUMN);
    return place + COLUMN;
}

/* The lines of processors from the cgroup, the others from the host: proc_stat(5). */
static void view_stat(char *text)
{
    static char room[VIEW_MAX];
    char *host = view_read(AT_FDCWD, "/proc/stat", room);
    unsigned long long count = 0;

    for (char *line = text; (line = strstr(line, "cpu")) != NULL; line += 3)
        count += line[3] != ' ';
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        char name[32] = "", *end = strchr(line, ' ');
        if (end == NULL || end - line > (int)sizeof name - 2)
            continue;
        memcpy(name, line, (size_t)(end - line) + 1);
        if (strncmp(name, "cpu", 3) != 0) {
            view_column(end, view_number(host, name));
            continue;
        }
        unsigned long long many = name[3] == ' ' ? count : 1;
        const int order[] = {0, -1, 1, 2}; /* user, nice, system, idle */
        for (size_t index = 0; index < sizeof order / sizeof *order; index++)
            end = view_column(end, order[index] < 0 ? 0 : many * view.shown[order[index]] / 10000);
    }
}

/* Python writes the whole file after an `update`, under the same lock. */
static void view_write(const char *name, const char *cgroup, void (*change)(char *text, int cgroup))
{
    static char room[VIEW_MAX];
    int fd = openat(run_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW), directory;

    if (fd < 0)
        return;
    directory = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && view_read(run_dir, name, room) != NULL) {
        size_t length = strlen(room);
        change(room, directory);
        if (pwrite(fd, room, length, 0) < 0)
            errno = 0; /* a full /run: the numbers stay those of a second ago */
    }
    close(directory);
    close(fd);
}

static void view_processors(char *text, int cgroup)
{
    view_ran(text, cgroup);
    view_stat(text);
}

static void view_if_due(void)
{
    if (view_wait() != 0)
        return;
    if (view.memory != NULL)
        view_write("view-meminfo", view.memory, view_memory);
    if (view.processors != NULL)
        view_write("view-stat", view.processors, view_processors);
    view.due = milliseconds() + VIEW_MS;
}
