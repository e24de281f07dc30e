// The ways in which a kernel ends its context, each in a process of its own: which call says so
// first, what the calls after it say, and how the process ends.
#include "proof.h"

#include <cassert>
#include <sys/wait.h>
#include <unistd.h>

enum Way { NONE, ASSERT, TRAP, NOWHERE, MISALIGNED, PAST_SHARED };

__global__ void fail(int way, int *values, long long where)
{
    __shared__ int shared[32];
    shared[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
    if (threadIdx.x != 17) return;
    assert(way != ASSERT);
    if (way == TRAP) __trap();
    if (way == NOWHERE) *reinterpret_cast<volatile int *>(where) = 1;
    if (way == MISALIGNED)
        *reinterpret_cast<volatile int *>(reinterpret_cast<char *>(values) + where) = 1;
    if (way == PAST_SHARED) *reinterpret_cast<volatile int *>(shared + where) = 1;
    values[0] = shared[17] + 1;
}

static int attempt(const char *name, Way way, long long where)
{
    int *values, found = -1;
    MUST(cudaMalloc(&values, 32 * sizeof(int)));
    MUST(cudaMemset(values, 0, 32 * sizeof(int)));
    fail<<<1, 32>>>(way, values, where);
    printf("%s: launch %s\n", name, cudaGetErrorName(cudaGetLastError()));
    cudaError_t first = cudaDeviceSynchronize();
    printf("%s: wait %s\n", name, cudaGetErrorName(first));
    printf("%s: copy %s\n", name,
           cudaGetErrorName(cudaMemcpy(&found, values, 4, cudaMemcpyDeviceToHost)));
    void *more = nullptr;
    printf("%s: allocation %s\n", name, cudaGetErrorName(cudaMalloc(&more, 64)));
    cudaGetLastError();
    fail<<<1, 32>>>(NONE, values, 0);
    printf("%s: launch again %s\n", name, cudaGetErrorName(cudaGetLastError()));
    printf("%s: wait again %s, value %d\n", name, cudaGetErrorName(cudaDeviceSynchronize()), found);
    fflush(stdout);
    return first;
}

// The child's exit status is the code of the first wait, folded into a byte.
static int in_a_process(const char *name, Way way, long long where, cudaError_t expected)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) exit(attempt(name, way, where) % 251);
    int status = -1;
    waitpid(child, &status, 0);
    bool right = WIFEXITED(status) && WEXITSTATUS(status) == expected % 251;
    printf("%s: ended as expected: %d\n", name, right);
    return !right;
}

int main()
{
    int wrong = in_a_process("none", NONE, 0, cudaSuccess);
    wrong += in_a_process("assert", ASSERT, 0, cudaErrorAssert);
    wrong += in_a_process("trap", TRAP, 0, cudaErrorLaunchFailure);
    wrong += in_a_process("nowhere", NOWHERE, 0x40, cudaErrorIllegalAddress);
    wrong += in_a_process("misaligned", MISALIGNED, 2, cudaErrorMisalignedAddress);
    wrong += in_a_process("past shared memory", PAST_SHARED, 1 << 20, cudaErrorIllegalAddress);
    return wrong != 0;
}
