// The pseudo-random numbers of harnesses: Marsaglia's xorshift with shifts 13, 7 and 17.

#pragma once

#include <cstdint>

struct Random {
    uint64_t state;
    uint64_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
    bool chance(double p) { return p > 0 && (next() >> 11) * 0x1p-53 < p; }
};
