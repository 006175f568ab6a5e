/* The program of the image hello-world: two system calls, no libc, no files.
 *
 * A container image needs nothing but what its process opens. This one opens nothing, so the image is this one file.
 * Without libc there is nobody to call main() and to call exit() after it: the kernel jumps to _start (execve(2)),
 * and a program that just returned from there would run into whatever lies behind it.
 *
 * Built by setup.py with -nostdlib -static.
 */

#include <asm/unistd.h>

static const char message[] =
    "\n"
    "Hello from a container that minidock made!\n"
    "\n"
    "Since you pressed Enter, this happened:\n"
    " 1. minidock looked for the image \"hello-world\" in its store, and made it from a\n"
    "    recipe or fetched it where it was missing.\n"
    " 2. It stacked the image's layers under an empty writable one: the container's own\n"
    "    root file system, in which this program, /hello, is the only file of the image.\n"
    " 3. It cloned a process into new namespaces: its own process numbers, mounts,\n"
    "    network, host name and message queues. That process is this one, number 1 in here.\n"
    " 4. It put the process under a control group, took away most of root's rights,\n"
    "    filtered its system calls, and executed /hello.\n"
    " 5. What /hello writes comes out at your terminal. Next it exits, and all of the\n"
    "    above is taken down again.\n"
    "\n"
    "To see each step as the kernel was asked for it:\n"
    " $ minidock run --explain hello-world\n"
    "\n"
    "To look around inside, take an image with a shell:\n"
    " $ minidock run -it debian bash\n"
    "\n";

/* One system call with three arguments (syscall(2) lists the registers of each architecture). */
static long call(long number, long first, long second, long third)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "hello.c knows the system call instructions of x86-64 and of arm64 only"
#endif
}

void _start(void)
{
    /* write(2) may take less than all of it when standard output is a pipe. */
    const char *rest = message;
    long left = sizeof message - 1;
    while (left > 0) {
        long taken = call(__NR_write, 1, (long)rest, left);
        if (taken <= 0)
            call(__NR_exit, 1, 0, 0);
        rest += taken;
        left -= taken;
    }
    for (;;)
        call(__NR_exit, 0, 0, 0);
}
