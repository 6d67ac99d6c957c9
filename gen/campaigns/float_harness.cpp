// Feeds a file of operands to one floating-point unit, an operand set each cycle, and writes a file
// of results.
//
// usage: unit OPERANDS RESULTS
//
// OPERANDS holds WORD numbers in the machine's byte order, the operands of a set side by side;
// RESULTS gets one 32-bit number for each set. Defined by the build:
//   WORD      type of an operand in the file: uint32_t or uint64_t
//   BINARY    whether the unit takes two operands
//   LATENCY   cycles from operands to result; 0 is a unit without a clock

#include <cstdint>
#include <cstdio>
#include <vector>

#include "Vunit.h"

double sc_time_stamp() { return 0; }

namespace {

constexpr size_t kOperands = BINARY ? 2 : 1;

std::vector<WORD> read_operands(const char* path) {
    std::vector<WORD> words;
    FILE* file = std::fopen(path, "rb");
    if (!file) return words;
    std::fseek(file, 0, SEEK_END);
    words.resize(std::ftell(file) / sizeof(WORD));
    std::rewind(file);
    if (std::fread(words.data(), sizeof(WORD), words.size(), file) != words.size()) words.clear();
    std::fclose(file);
    return words;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const std::vector<WORD> operands = read_operands(argv[1]);
    const size_t sets = operands.size() / kOperands;
    if (sets == 0) return 2;
    std::vector<uint32_t> results(sets);
    VerilatedContext context;
    Vunit unit{&context};
    for (size_t i = 0; i < sets + LATENCY; ++i) {
        const size_t set = i < sets ? i : sets - 1;
        unit.a = operands[set * kOperands];
#if BINARY
        unit.b = operands[set * kOperands + 1];
#endif
#if LATENCY
        unit.clk = 0;
#endif
        unit.eval();
        if (i >= LATENCY) results[i - LATENCY] = unit.result;
#if LATENCY
        unit.clk = 1;
        unit.eval();
#endif
    }
    unit.final();
    FILE* file = std::fopen(argv[2], "wb");
    if (!file) return 1;
    const size_t written = std::fwrite(results.data(), sizeof(uint32_t), sets, file);
    return std::fclose(file) == 0 && written == sets ? 0 : 1;
}
