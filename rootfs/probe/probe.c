/* The probe: PID 1 of test containers whose root file system holds nothing else.
 *
 *     probe COMMAND [ARGUMENT...] [, COMMAND [ARGUMENT...]]...
 *
 * Each command prints facts, one "name value" a line, and the next one follows after a lone ",". A command that the
 * kernel refuses prints the errno's name instead ("open /etc/x EROFS"): a test asserts on what was refused and how.
 * The exit code is 0 unless `exit` or a signal says otherwise, 2 for a command that doesn't exist.
 * Static, so that it runs where there is no libc, no /proc and no /dev. `probe help` lists the commands.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static int own_argc;
static char **own_argv;

/* "what argument OK", or the errno's name. A test compares the whole line. */
static void told(const char *what, const char *on, long result)
{
    printf("%s %s %s\n", what, on, result < 0 ? strerrorname_np(errno) : "OK");
}

/* ---- who am I ---- */

static void do_uts(char **arg)
{
    struct utsname names;
    (void)arg;
    uname(&names);
    printf("hostname %s\ndomainname %s\n", names.nodename, names.domainname);
}

static void do_ids(char **arg)
{
    uid_t r, e, s;
    gid_t rg, eg, sg, groups[256];
    int count = getgroups(256, groups);
    (void)arg;
    getresuid(&r, &e, &s);
    getresgid(&rg, &eg, &sg);
    printf("uid %u %u %u\ngid %u %u %u\ngroups", r, e, s, rg, eg, sg);
    for (int i = 0; i < count; i++)
        printf(" %u", groups[i]);
    printf("\n");
}

/* The five sets as hexadecimal masks, as /proc/self/status shows them, but without /proc. */
static void do_caps(char **arg)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    unsigned long long bounding = 0, ambient = 0;
    (void)arg;
    syscall(SYS_capget, &header, data);
    for (int cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            bounding |= 1ULL << cap;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
            ambient |= 1ULL << cap;
    }
    printf("bounding %016llx\n", bounding);
    printf("effective %08x%08x\n", data[1].effective, data[0].effective);
    printf("permitted %08x%08x\n", data[1].permitted, data[0].permitted);
    printf("inheritable %08x%08x\n", data[1].inheritable, data[0].inheritable);
    printf("ambient %016llx\n", ambient);
}

static void do_security(char **arg)
{
    (void)arg;
    printf("no_new_privs %d\nseccomp %d\ndumpable %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           prctl(PR_GET_SECCOMP, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

static void do_process(char **arg)
{
    (void)arg;
    printf("pid %d\nppid %d\npgid %d\nsid %d\n", getpid(), getppid(), getpgid(0), getsid(0));
}

static void do_args(char **arg)
{
    (void)arg;
    for (int i = 0; i < own_argc; i++)
        printf("argv[%d] %s\n", i, own_argv[i]);
}

static void do_env(char **arg)
{
    (void)arg;
    for (char **entry = environ; *entry; entry++)
        printf("env %s\n", *entry);
}

static void do_cwd(char **arg)
{
    char path[4096];
    (void)arg;
    if (getcwd(path, sizeof path))
        printf("cwd %s\n", path);
    else
        told("cwd", "?", -1);
}

static void do_umask(char **arg)
{
    mode_t mask = umask(0);
    (void)arg;
    umask(mask);
    printf("umask %04o\n", mask);
}

/* Blocked and ignored signals survive execve(2): a runtime must not hand its own down. */
static void do_signals(char **arg)
{
    sigset_t blocked;
    (void)arg;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    printf("blocked");
    for (int number = 1; number < 65; number++)
        if (sigismember(&blocked, number) == 1)
            printf(" %d", number);
    printf("\nignored");
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            printf(" %d", number);
    }
    printf("\n");
}

/* ---- what was I given ---- */

/* Which of the first 1024 descriptors are open; a runtime leaves 0, 1 and 2. */
static void do_fds(char **arg)
{
    (void)arg;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat info;
        if (fstat(fd, &info) == 0)
            printf("fd %d %s\n", fd,
                   S_ISCHR(info.st_mode)    ? "char"
                   : S_ISFIFO(info.st_mode) ? "fifo"
                   : S_ISSOCK(info.st_mode) ? "socket"
                   : S_ISDIR(info.st_mode)  ? "directory"
                                            : "file");
    }
}

static void do_rlimits(char **arg)
{
    static const char *const name[] = {"cpu",  "fsize",   "data",   "stack", "core",       "rss",      "nproc", "nofile",
                                       "memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
    (void)arg;
    for (int i = 0; i < RLIMIT_NLIMITS; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        printf("rlimit %s %lld %lld\n", name[i], (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void do_tty(char **arg)
{
    struct winsize size = {0, 0, 0, 0};
    (void)arg;
    for (int fd = 0; fd < 3; fd++)
        printf("isatty %d %d\n", fd, isatty(fd));
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        printf("winsize %d %d\n", size.ws_row, size.ws_col);
}

/* Needs /proc in the container. */
static void do_namespaces(char **arg)
{
    static const char *const kind[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    (void)arg;
    for (unsigned i = 0; i < sizeof kind / sizeof *kind; i++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", kind[i]);
        if (readlink(path, link, sizeof link - 1) < 0)
            told("namespace", kind[i], -1);
        else
            printf("namespace %s %s\n", kind[i], link);
    }
}

/* ---- files: what may I do ---- */

static void do_cat(char **arg)
{
    char buffer[65536];
    ssize_t got;
    int fd = open(arg[0], O_RDONLY);
    if (fd < 0) {
        told("cat", arg[0], -1);
        return;
    }
    fflush(stdout);
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        if (write(1, buffer, got) != got)
            exit(1);
    if (got < 0)
        told("cat", arg[0], -1);
    close(fd);
}

static void do_mountinfo(char **arg)
{
    char *path[] = {(char *)"/proc/self/mountinfo", NULL};
    (void)arg;
    do_cat(path);
}

static void do_open(char **arg)
{
    int fd = open(arg[0], O_RDONLY | O_NONBLOCK);
    told("open", arg[0], fd);
    if (fd >= 0)
        close(fd);
}

static void do_write(char **arg)
{
    int fd = open(arg[0], O_WRONLY | O_CREAT, 0644);
    told("write", arg[0], fd < 0 ? fd : write(fd, arg[1], strlen(arg[1])));
    if (fd >= 0)
        close(fd);
}

static void do_mkdir(char **arg) { told("mkdir", arg[0], mkdir(arg[0], 0755)); }
static void do_unlink(char **arg) { told("unlink", arg[0], unlink(arg[0])); }
static void do_chdir(char **arg) { told("chdir", arg[0], chdir(arg[0])); }
static void do_chroot(char **arg) { told("chroot", arg[0], chroot(arg[0])); }

static void do_stat(char **arg)
{
    struct stat info;
    if (lstat(arg[0], &info) < 0)
        told("stat", arg[0], -1);
    else
        printf("stat %s mode %o uid %u gid %u size %lld rdev %u:%u\n", arg[0], info.st_mode, info.st_uid, info.st_gid,
               (long long)info.st_size, major(info.st_rdev), minor(info.st_rdev));
}

static void do_readlink(char **arg)
{
    char target[4096] = "";
    if (readlink(arg[0], target, sizeof target - 1) < 0)
        told("readlink", arg[0], -1);
    else
        printf("readlink %s %s\n", arg[0], target);
}

static void do_ls(char **arg)
{
    struct dirent **entry;
    int count = scandir(arg[0], &entry, NULL, alphasort);
    if (count < 0)
        told("ls", arg[0], -1);
    for (int i = 0; i < count; i++)
        if (strcmp(entry[i]->d_name, ".") != 0 && strcmp(entry[i]->d_name, "..") != 0)
            printf("ls %s %s\n", arg[0], entry[i]->d_name);
}

/* mknod PATH MAJOR MINOR: a character device, removed again; then what opening it says is the device filter's word. */
static void do_mknod(char **arg)
{
    long made = mknod(arg[0], S_IFCHR | 0600, makedev(atoi(arg[1]), atoi(arg[2])));
    told("mknod", arg[0], made);
    if (made == 0) {
        do_open(arg);
        unlink(arg[0]);
    }
}

/* ---- system calls that the seccomp profile and the capabilities decide on ---- */

static void do_mount(char **arg) { told("mount", arg[0], mount("none", arg[0], "tmpfs", 0, NULL)); }
static void do_umount(char **arg) { told("umount", arg[0], umount2(arg[0], MNT_DETACH)); }
static void do_unshare_user(char **arg) { (void)arg; told("unshare", "user", unshare(CLONE_NEWUSER)); }
static void do_unshare_mount(char **arg) { (void)arg; told("unshare", "mount", unshare(CLONE_NEWNS)); }
static void do_sethostname(char **arg) { told("sethostname", arg[0], sethostname(arg[0], strlen(arg[0]))); }
static void do_keyctl(char **arg) { (void)arg; told("keyctl", "session", syscall(SYS_keyctl, 0, -3, 0)); }
static void do_bpf(char **arg) { (void)arg; told("bpf", "-1", syscall(SYS_bpf, -1, NULL, 0)); }
static void do_reboot(char **arg) { (void)arg; told("reboot", "bad-magic", syscall(SYS_reboot, 0, 0, 0, NULL)); }
static void do_setuid(char **arg) { told("setuid", arg[0], setuid(atoi(arg[0]))); }
static void do_nice(char **arg) { told("setpriority", arg[0], setpriority(PRIO_PROCESS, 0, atoi(arg[0]))); }

static void do_settime(char **arg)
{
    struct timeval now;
    (void)arg;
    gettimeofday(&now, NULL);
    told("settimeofday", "now", settimeofday(&now, NULL));
}

/* ---- load: what do the limits say ---- */

/* alloc MIB: touch every page, so that it counts; the OOM killer answers with SIGKILL. */
static void do_alloc(char **arg)
{
    size_t size = (size_t)atoi(arg[0]) << 20;
    char *memory = malloc(size);
    for (size_t i = 0; memory && i < size; i += 4096)
        ((volatile char *)memory)[i] = 1;
    told("alloc", arg[0], memory ? 0 : -1);
    free(memory);
}

/* fork N: how many of N children that stay could be made (pids.max). */
static void do_fork(char **arg)
{
    int wanted = atoi(arg[0]), made = 0;
    pid_t child[4096];
    const char *why = "OK";
    fflush(stdout);
    for (; made < wanted && made < 4096; made++) {
        child[made] = fork();
        if (child[made] == 0) {
            pause();
            _exit(0);
        }
        if (child[made] < 0) {
            why = strerrorname_np(errno);
            break;
        }
    }
    for (int i = 0; i < made; i++)
        kill(child[i], SIGKILL);
    for (int i = 0; i < made; i++)
        waitpid(child[i], NULL, 0);
    printf("fork %d %s\n", made, why);
}

/* spin MILLISECONDS of processor time; prints how long it took by the clock (cpu.max). */
static void do_spin(char **arg)
{
    struct timespec begun, now;
    clock_t until = (clock_t)atoi(arg[0]) * (CLOCKS_PER_SEC / 1000);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    while (clock() < until) {
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("spin %ld\n", (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000);
}

static void do_cpus(char **arg)
{
    cpu_set_t set;
    (void)arg;
    sched_getaffinity(0, sizeof set, &set);
    printf("cpus");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            printf(" %d", cpu);
    printf("\n");
}

/* ---- network, without any tool in the image ---- */

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    inet_pton(AF_INET, host, &to.sin_addr);
    return to;
}

/* listen-tcp PORT: answer one connection with "hello from HOSTNAME". */
static void do_listen_tcp(char **arg)
{
    struct sockaddr_in here = address("0.0.0.0", arg[0]);
    int yes = 1, client, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct utsname names;
    uname(&names);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 8) < 0) {
        told("listen-tcp", arg[0], -1);
        return;
    }
    printf("listening %s\n", arg[0]);
    fflush(stdout);
    client = accept(fd, NULL, NULL);
    dprintf(client, "hello from %s\n", names.nodename);
    close(client);
    close(fd);
}

/* listen-udp PORT: send one datagram back to where it came from, with "echo " before it. */
static void do_listen_udp(char **arg)
{
    struct sockaddr_in here = address("0.0.0.0", arg[0]), there;
    socklen_t length = sizeof there;
    char buffer[2048] = "echo ";
    ssize_t got;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) {
        told("listen-udp", arg[0], -1);
        return;
    }
    printf("listening %s\n", arg[0]);
    fflush(stdout);
    got = recvfrom(fd, buffer + 5, sizeof buffer - 5, 0, (struct sockaddr *)&there, &length);
    if (got >= 0)
        sendto(fd, buffer, got + 5, 0, (struct sockaddr *)&there, length);
    close(fd);
}

/* connect-tcp ADDRESS PORT: print what comes back. Gives up after three seconds. */
static void do_connect_tcp(char **arg)
{
    struct sockaddr_in to = address(arg[0], arg[1]);
    struct timeval patience = {3, 0};
    char buffer[2048];
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    told("connect-tcp", arg[0], connect(fd, (struct sockaddr *)&to, sizeof to));
    fflush(stdout);
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        if (write(1, buffer, got) != got)
            exit(1);
    close(fd);
}

static void do_connect_udp(char **arg)
{
    struct sockaddr_in to = address(arg[0], arg[1]);
    struct timeval patience = {3, 0};
    char buffer[2048] = "";
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sendto(fd, "ping", 4, 0, (struct sockaddr *)&to, sizeof to);
    if (recv(fd, buffer, sizeof buffer - 1, 0) < 0)
        told("connect-udp", arg[0], -1);
    else
        printf("connect-udp %s %s\n", arg[0], buffer);
    close(fd);
}

/* ---- ends ---- */

static void do_echo(char **arg)
{
    printf("%s\n", arg[0]);
}

static void do_complain(char **arg)
{
    fflush(stdout);
    dprintf(2, "%s\n", arg[0]);
}

static void do_sleep(char **arg)
{
    fflush(stdout);
    usleep((useconds_t)(atof(arg[0]) * 1e6));
}

/* trap SIGNAL: wait for it, say so. PID 1 gets only the signals it has a handler for (pid_namespaces(7)). */
static void do_trap(char **arg)
{
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, atoi(arg[0]));
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("waiting %s\n", arg[0]);
    fflush(stdout);
    sigwait(&set, &got);
    printf("got %d\n", got);
}

static void do_kill(char **arg)
{
    fflush(stdout);
    told("kill", arg[0], kill(getpid(), atoi(arg[0])));
}

static void do_exit(char **arg)
{
    fflush(stdout);
    exit(atoi(arg[0]));
}

static void do_help(char **arg);

static const struct {
    const char *name;
    int arguments;
    void (*call)(char **arg);
} commands[] = {
    {"help", 0, do_help},
    {"uts", 0, do_uts},
    {"ids", 0, do_ids},
    {"caps", 0, do_caps},
    {"security", 0, do_security},
    {"process", 0, do_process},
    {"args", 0, do_args},
    {"env", 0, do_env},
    {"cwd", 0, do_cwd},
    {"umask", 0, do_umask},
    {"signals", 0, do_signals},
    {"fds", 0, do_fds},
    {"rlimits", 0, do_rlimits},
    {"tty", 0, do_tty},
    {"namespaces", 0, do_namespaces},
    {"mountinfo", 0, do_mountinfo},
    {"cat", 1, do_cat},
    {"open", 1, do_open},
    {"write", 2, do_write},
    {"mkdir", 1, do_mkdir},
    {"unlink", 1, do_unlink},
    {"chdir", 1, do_chdir},
    {"chroot", 1, do_chroot},
    {"stat", 1, do_stat},
    {"readlink", 1, do_readlink},
    {"ls", 1, do_ls},
    {"mknod", 3, do_mknod},
    {"mount", 1, do_mount},
    {"umount", 1, do_umount},
    {"unshare-user", 0, do_unshare_user},
    {"unshare-mount", 0, do_unshare_mount},
    {"sethostname", 1, do_sethostname},
    {"keyctl", 0, do_keyctl},
    {"bpf", 0, do_bpf},
    {"reboot", 0, do_reboot},
    {"setuid", 1, do_setuid},
    {"nice", 1, do_nice},
    {"settime", 0, do_settime},
    {"alloc", 1, do_alloc},
    {"fork", 1, do_fork},
    {"spin", 1, do_spin},
    {"cpus", 0, do_cpus},
    {"listen-tcp", 1, do_listen_tcp},
    {"listen-udp", 1, do_listen_udp},
    {"connect-tcp", 2, do_connect_tcp},
    {"connect-udp", 2, do_connect_udp},
    {"echo", 1, do_echo},
    {"complain", 1, do_complain},
    {"sleep", 1, do_sleep},
    {"trap", 1, do_trap},
    {"kill", 1, do_kill},
    {"exit", 1, do_exit},
};

static void do_help(char **arg)
{
    (void)arg;
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("%s %d\n", commands[i].name, commands[i].arguments);
}

/* Run the command at argv[at]; returns the index behind its arguments. */
static int run_one(int argc, char **argv, int at)
{
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[at], commands[i].name) != 0)
            continue;
        if (at + commands[i].arguments >= argc)
            break;
        commands[i].call(argv + at + 1);
        return at + 1 + commands[i].arguments;
    }
    fprintf(stderr, "probe: no command %s with enough arguments; probe help lists them\n", argv[at]);
    exit(2);
}

int main(int argc, char **argv)
{
    own_argc = argc;
    own_argv = argv;
    for (int at = 1; at < argc;) {
        at = run_one(argc, argv, at);
        if (at < argc && strcmp(argv[at], ",") == 0)
            at++;
    }
    fflush(stdout);
    return 0;
}
