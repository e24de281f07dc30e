// bitonic_block, bitonic_step: sorted in one launch, and in as many as the network has steps.
#include "check.h"
#include "bitonic.cu"

static void blocks()
{
    Check check("bitonic_block");
    for (unsigned blocks : {1u, 2u, 7u}) {
        auto keys = words(32, blocks * 1024);
        for (size_t i = 0; i < keys.size(); i += 3) keys[i] %= 5;
        Device<unsigned> device(keys);
        for (unsigned block = 0; block < blocks; ++block)
            std::sort(keys.begin() + block * 1024, keys.begin() + block * 1024 + 1024);
        bitonic_block<<<blocks, 512>>>(device.data());
        finished();
        check.exact(device.read(), keys);
    }
}

static void steps()
{
    Check check("bitonic_step");
    const unsigned shapes[][2] = {{64, 32}, {4096, 256}};
    for (auto &shape : shapes) {
        auto keys = words(33, shape[0]);
        Device<unsigned> device(keys);
        for (unsigned k = 2; k <= shape[0]; k *= 2)
            for (unsigned j = k / 2; j > 0; j /= 2)
                bitonic_step<<<shape[0] / shape[1], shape[1]>>>(device.data(), j, k);
        finished();
        std::sort(keys.begin(), keys.end());
        check.exact(device.read(), keys);
    }
}

int main()
{
    blocks();
    steps();
    return failed != 0;
}
