// hello, checks, traps: what a kernel prints, and the two ways in which it gives up. Each end of a
// context happens in a process of its own.
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "printf_assert.cu"

static void hello_from(Check &check, int blocks, int threads)
{
    fflush(stdout);
    FILE *file = tmpfile();
    int saved = dup(1);
    dup2(fileno(file), 1);
    for (int block = 0; block < blocks; ++block) {
        hello<<<1, threads>>>(block - 1, block + 0.0625f, nullptr);
        MUST(cudaDeviceSynchronize());
    }
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    std::string expected, found(4096, '\0');
    for (int block = 0; block < blocks; ++block)
        for (int thread = 0; thread < std::min(threads, 2); ++thread) {
            char line[200];
            snprintf(line, sizeof line, "block 0 thread %d x=%d f=%.3f ptr=%p const\n", thread,
                     block - 1, block + 0.0625f, static_cast<void *>(nullptr));
            expected += line;
        }
    rewind(file);
    found.resize(fread(&found[0], 1, found.size(), file));
    fclose(file);
    check.exact(std::vector<char>(found.begin(), found.end()),
                std::vector<char>(expected.begin(), expected.end()));
    if (found != expected) fprintf(stderr, "printed: %s\n", found.c_str());
}

// What the first wait, and the one after, say about a kernel for which one value is negative.
static std::vector<int> ends(bool traps_too, bool bad)
{
    int result[2];
    if (pipe(result) != 0) exit(4);
    pid_t child = fork();
    if (child == 0) {
        std::vector<int> values(64, 1);
        if (bad) values[33] = -1;
        Device<int> device(values);
        traps_too ? traps<<<1, 64>>>(device.data()) : checks<<<1, 64>>>(device.data());
        MUST(cudaGetLastError());
        int found[2] = {cudaDeviceSynchronize(), 0};
        int value;
        found[1] = cudaMemcpy(&value, device.data(), 4, cudaMemcpyDeviceToHost);
        if (write(result[1], found, sizeof found) != sizeof found) _exit(4);
        _exit(0);
    }
    close(result[1]);
    std::vector<int> found(2, -1);
    if (read(result[0], found.data(), 8) != 8) found[0] = -2;
    close(result[0]);
    waitpid(child, nullptr, 0);
    return found;
}

int main()
{
    {
        Check check("checks");
        check.exact(ends(false, false), std::vector<int>{cudaSuccess, cudaSuccess});
        check.exact(ends(false, true), std::vector<int>{cudaErrorAssert, cudaErrorAssert});
    }
    {
        Check check("traps");
        std::vector<int> failure{cudaErrorLaunchFailure, cudaErrorLaunchFailure};
        check.exact(ends(true, false), std::vector<int>{cudaSuccess, cudaSuccess});
        check.exact(ends(true, true), failure);
    }
    {
        Check check("hello");
        hello_from(check, 1, 1);
        hello_from(check, 3, 64);
    }
    return failed != 0;
}
