/* Loaded into a process by LD_PRELOAD, it has the FAILING_SYNC-th of all its calls of fsync
 * and fdatasync fail with EIO, whichever thread makes it and however it calls the kernel;
 * which file that was stands in standard error. Or the KILLING_SYNC-th kills the process, or
 * each takes SLOW_SYNC_MS. strace(1) counts for each thread apart, and a symbol of the C
 * library is not what every caller goes through: so a filter of the kernel (seccomp(2)) gives
 * each call to a handler of SIGSYS. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define ARGUMENT(context) ((context)->uc_mcontext.gregs[REG_RDI])
#elif defined(__aarch64__)
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#define ARGUMENT(context) ((context)->uc_mcontext.regs[0])
#else
#error "which registers?"
#endif

/* In the sixth argument, which neither call has: the handler's own, to be let through. */
#define OURS 0x6b657973

static atomic_long count;
static long failing, killing, slow_ms;

static void named(int file)
{
    char link[64], path[512], line[640];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = 0;
    int said = snprintf(line, sizeof line, "sync %ld failed: %s\n", failing, path);
    if (write(2, line, (size_t)said) < 0)
        abort();
}

static void called(int signal, siginfo_t *call, void *context)
{
    int before = errno;
    int file = (int)ARGUMENT((ucontext_t *)context);
    long number = atomic_fetch_add(&count, 1) + 1;
    (void)signal;
    if (number == killing)
        kill(getpid(), SIGKILL);
    if (slow_ms > 0)
        usleep((useconds_t)slow_ms * 1000);
    if (number == failing) {
        named(file);
        RESULT((ucontext_t *)context) = -EIO;
    } else {
        long result = syscall(call->si_syscall, file, 0, 0, 0, 0, OURS);
        RESULT((ucontext_t *)context) = result < 0 ? -errno : result;
    }
    errno = before;
}

__attribute__((constructor)) static void begin(void)
{
    const char *fails = getenv("FAILING_SYNC"), *kills = getenv("KILLING_SYNC"),
               *slow = getenv("SLOW_SYNC_MS");
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    struct sigaction action = {.sa_sigaction = called, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (fails == NULL && kills == NULL && slow == NULL)
        return;
    failing = fails == NULL ? 0 : atol(fails);
    killing = kills == NULL ? 0 : atol(kills);
    slow_ms = slow == NULL ? 0 : atol(slow);
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        abort();
}
