/* Rotation: PATH becomes PATH.1, that PATH.2, and so on; the oldest goes. Followers know their file by its inode.
 *
 * With compression PATH.1 becomes PATH.1.gz by gzip(1), a process of its own: the container doesn't wait for it, only
 * the next rotation does, since both would move the same files. Where a killed gzip has left half a PATH.n.gz, PATH.n
 * is still there, and readers prefer that. gzip keeps the time of change: by it a follower knows its file again.
 * Part of shim.c. */

#define GZIP "/bin/gzip"

static void rotated_name(char name[PATH_MAX], long number, const char *ending)
{
    if (number > 0)
        snprintf(name, PATH_MAX, "%s.%ld%s", the_log.path, number, ending);
    else
        snprintf(name, PATH_MAX, "%s%s", the_log.path, ending);
}

static void shift(long number, const char *ending)
{
    char older[PATH_MAX], newer[PATH_MAX];

    rotated_name(older, number, ending);
    rotated_name(newer, number - 1, ending);
    unlink(older); /* moved already, or the oldest */
    if (rename(newer, older) != 0 && errno != ENOENT)
        log_failed("rename");
}

static void compress(void)
{
    char name[PATH_MAX], *command[] = {GZIP, "-q", "-f", name, NULL};

    rotated_name(name, 1, "");
    the_log.compressor = fork();
    if (the_log.compressor == 0)
        become(command);
    if (the_log.compressor < 0) /* no process to be had: it stays as it is */
        the_log.compressor = 0;
}

static void log_rotate(void)
{
    struct stat status;

    log_flush();
    /* Somebody may have emptied the file by hand: then it isn't full after all. */
    if (the_log.fd >= 0 && fstat(the_log.fd, &status) == 0 && (the_log.size = status.st_size) < the_log.max_size)
        return;
    for (long number = the_log.max_files - 1; number > 0; number--) {
        shift(number, ".gz");
        shift(number, "");
    }
    if (the_log.fd >= 0)
        close(the_log.fd);
    log_open(O_TRUNC);
    if (the_log.compress && the_log.max_files > 1)
        compress();
}

/* Before we go: whoever comes next must not find gzip at work. */
static void await_compressor(void)
{
    while (the_log.compressor > 0 && waitpid(the_log.compressor, NULL, 0) < 0 && errno == EINTR)
        continue;
}
