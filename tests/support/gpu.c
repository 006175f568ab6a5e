/* What scripts/gpu-test runs in containers: CUDA's driver by hand, without its headers; and opens of device nodes.
 *
 *   gpu count                 the number of GPUs that the driver gives
 *   gpu compute               a small program on the first one (PTX, which the driver compiles), its result checked
 *   gpu hold BYTES SECONDS    memory of the first one
 *   gpu open PATH             the name of the errno that open(2) ends with, or "opened"
 *   gpu node MAJOR MINOR      the same for a node that is made here, under a name of its own
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COUNT 1000000

static const char TWICE[] =
    ".version 6.4\n.target sm_75\n.address_size 64\n"
    ".visible .entry twice(.param .u64 data, .param .u32 count)\n{\n"
    ".reg .pred %p<2>;\n.reg .b32 %r<6>;\n.reg .b64 %rd<4>;\n"
    "ld.param.u64 %rd1, [data];\nld.param.u32 %r1, [count];\n"
    "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\n"
    "mad.lo.s32 %r5, %r2, %r3, %r4;\n"
    "setp.ge.u32 %p1, %r5, %r1;\n@%p1 bra DONE;\n"
    "cvta.to.global.u64 %rd2, %rd1;\nmul.wide.u32 %rd3, %r5, 4;\nadd.s64 %rd2, %rd2, %rd3;\n"
    "ld.global.u32 %r2, [%rd2];\nshl.b32 %r2, %r2, 1;\nst.global.u32 [%rd2], %r2;\n"
    "DONE:\nret;\n}\n";

static void *driver;

/* Call a function of the driver; all of them answer 0 when they did it (cuda.h, CUresult). */
#define CALL(name, types, ...) check(((int(*) types)find(name)) (__VA_ARGS__), name)

static void *find(const char *name) {
    void *found = dlsym(driver, name);
    if (!found) {
        printf("%s: not in this driver\n", name);
        exit(2);
    }
    return found;
}

static void check(int result, const char *name) {
    if (result) {
        printf("%s: error %d\n", name, result);
        exit(1);
    }
}

static int count(void) {
    int number = 0;
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver) {
        printf("%s\n", dlerror());
        exit(2);
    }
    CALL("cuInit", (unsigned), 0);
    CALL("cuDeviceGetCount", (int *), &number);
    return number;
}

static void first(void) {
    int device = 0;
    void *context = NULL;
    if (!count()) {
        puts("no device");
        exit(1);
    }
    CALL("cuDeviceGet", (int *, int), &device, 0);
    CALL("cuDevicePrimaryCtxRetain", (void **, int), &context, device);
    CALL("cuCtxSetCurrent", (void *), context);
}

static unsigned long long allocate(size_t bytes) {
    unsigned long long memory = 0;
    CALL("cuMemAlloc_v2", (unsigned long long *, size_t), &memory, bytes);
    return memory;
}

static int compute(void) {
    static unsigned numbers[COUNT];
    unsigned long long memory;
    unsigned many = COUNT;
    void *module = NULL, *function = NULL, *arguments[] = {&memory, &many};
    for (unsigned n = 0; n < COUNT; n++) numbers[n] = n;
    first();
    memory = allocate(sizeof numbers);
    CALL("cuMemcpyHtoD_v2", (unsigned long long, const void *, size_t), memory, numbers, sizeof numbers);
    CALL("cuModuleLoadData", (void **, const void *), &module, TWICE);
    CALL("cuModuleGetFunction", (void **, void *, const char *), &function, module, "twice");
    CALL("cuLaunchKernel",
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **),
         function, (COUNT + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL);
    CALL("cuCtxSynchronize", (void), );
    CALL("cuMemcpyDtoH_v2", (void *, unsigned long long, size_t), numbers, memory, sizeof numbers);
    for (unsigned n = 0; n < COUNT; n++)
        if (numbers[n] != 2 * n) {
            printf("number %u is %u\n", n, numbers[n]);
            return 1;
        }
    puts("computed");
    return 0;
}

static int try_open(const char *path) {
    int fd = open(path, O_RDWR | O_NONBLOCK);
    puts(fd < 0 ? strerrorname_np(errno) : "opened");
    return 0;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(verb, "count")) return printf("%d\n", count()) < 0;
    if (!strcmp(verb, "compute")) return compute();
    if (!strcmp(verb, "hold") && argc == 4) {
        first();
        allocate(strtoull(argv[2], NULL, 10));
        puts("held");
        return sleep(atoi(argv[3])) != 0;
    }
    if (!strcmp(verb, "open") && argc == 3) return try_open(argv[2]);
    if (!strcmp(verb, "node") && argc == 4) {
        if (mknod("/node", S_IFCHR | 0600, makedev(atoi(argv[2]), atoi(argv[3])))) return puts(strerrorname_np(errno)) < 0;
        return try_open("/node");
    }
    fputs("usage: gpu count | compute | hold BYTES SECONDS | open PATH | node MAJOR MINOR\n", stderr);
    return 64;
}
