// Plays jobs into a tile: argv[1] has them, in the machine's byte order; the further arguments are
// numbers of mutants, 0 for none. A line on standard output for each of them says how it ended:
// number, job, cycle, results taken, and what was wrong, or "right".
//
// Each number has a tile of its own, so that none starts from the state that another left. It ends
// at the first thing that is wrong.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lutcore_random.h"

namespace {

// A stream at the tile's boundary.
struct Port {
    uint8_t* payload;
    size_t bytes;
    uint8_t *valid, *ready;
};

template <class T>
Port port(T& payload, uint8_t& valid, uint8_t& ready) {
    return {reinterpret_cast<uint8_t*>(&payload), sizeof payload, &valid, &ready};
}

}  // namespace

#include "tile_streams.h"  // Tile, inputs(Tile&), results(Tile&), select(Tile&, number)

double sc_time_stamp() { return 0; }

namespace {

// Cycles without a result after the last one before the tile counts as silent.
constexpr uint64_t kSilence = 8;

struct Words {
    uint64_t count = 0, width = 0;
    double stall = 0;
    std::vector<uint8_t> data;
    const uint8_t* at(uint64_t i) const { return data.data() + i * width; }
};

struct Job {
    uint64_t seed = 0, patience = 0;
    std::vector<uint64_t> resets;
    std::vector<Words> inputs;
    Words expected, mask;
};

template <class T>
T take(std::FILE* file) {
    T value;
    if (std::fread(&value, sizeof value, 1, file) != 1) std::exit(1);
    return value;
}

Words words(std::FILE* file) {
    Words found;
    found.count = take<uint64_t>(file);
    found.width = take<uint64_t>(file);
    found.stall = take<double>(file);
    found.data.resize(found.count * found.width);
    if (std::fread(found.data.data(), 1, found.data.size(), file) != found.data.size()) std::exit(1);
    return found;
}

std::vector<Job> load(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) std::exit(1);
    std::vector<Job> jobs(take<uint64_t>(file));
    for (Job& job : jobs) {
        job.seed = take<uint64_t>(file);
        job.patience = take<uint64_t>(file);
        job.resets.resize(take<uint64_t>(file));
        for (uint64_t& cycle : job.resets) cycle = take<uint64_t>(file);
        for (int i = 0; i < kInputs; ++i) job.inputs.push_back(words(file));
        job.expected = words(file);
        job.mask = words(file);
    }
    std::fclose(file);
    return jobs;
}

// An input stream: a word that is offered stays until it is taken.
struct Source {
    Port port;
    const Words& words;
    uint64_t sent = 0;
    bool offered = false;

    void drive(Random& random) {
        if (offered) return;
        offered = sent < words.count && !random.chance(words.stall);
        *port.valid = offered;
        // What is not offered is another word: nothing may come of it.
        const uint8_t* word = words.at(offered ? sent : random.next() % words.count);
        std::memcpy(port.payload, word, std::min<size_t>(port.bytes, words.width));
    }

    bool moved() {
        if (!offered || !*port.ready) return false;
        ++sent;
        offered = false;
        return true;
    }
};

// The stream of results: held against what is expected, where that counts.
struct Sink {
    Port port;
    const Job& job;
    uint64_t taken = 0;
    bool offered = false, shy = false;
    std::vector<uint8_t> held;

    // A pause ends by itself, or not before something is offered: that must not wait for `ready`.
    void drive(Random& random) {
        shy = shy && !offered;
        *port.ready = !shy && !random.chance(job.expected.stall);
        if (!*port.ready && !shy && !offered) shy = random.chance(0.5);
    }

    const char* wrong() const {
        if (offered && !*port.valid) return "a result was withdrawn";
        if (offered && std::memcmp(held.data(), port.payload, port.bytes))
            return "a result changed before it was taken";
        if (!*port.valid) return nullptr;
        if (taken == job.expected.count) return "there are more results than expected";
        const uint8_t *wanted = job.expected.at(taken), *counts = job.mask.at(taken);
        for (uint64_t i = 0; i < job.mask.width; ++i)
            if ((port.payload[i] ^ wanted[i]) & counts[i]) return "a result is wrong";
        return nullptr;
    }

    bool moved() {
        offered = *port.valid && !*port.ready;
        if (offered) held.assign(port.payload, port.payload + port.bytes);
        const bool took = *port.valid && *port.ready;
        taken += took;
        return took;
    }
};

class Bench {
  public:
    Bench(Tile& tile, const Job& job)
        : tile_(tile), job_(job), random_{job.seed * 2 + 0x9E3779B97F4A7C15ull} {}

    // What was wrong, or nothing.
    const char* run() {
        reset(3);
        for (uint64_t cycle : job_.resets) {
            if (const char* wrong = play(cycle)) return wrong;
            reset(1);  // one must do: in more of them much settles by itself
        }
        return play(0);
    }

    uint64_t cycles = 0, taken = 0;

  private:
    // The streams stay as they are: nothing of what they offer may come through.
    void reset(int count) {
        tile_.rst = 1;
        for (int i = 0; i < count; ++i) {
            tile_.clk = 0;
            tile_.eval();
            rise();
        }
        tile_.rst = 0;
    }

    void rise() {
        tile_.clk = 1;
        tile_.eval();
        ++cycles;
    }

    // From the first word to silence after the last result, or for `most` cycles.
    const char* play(uint64_t most) {
        std::vector<Source> sources;
        const std::vector<Port> ports = inputs(tile_);
        for (size_t i = 0; i < ports.size(); ++i) sources.push_back({ports[i], job_.inputs[i]});
        Sink sink{results(tile_), job_};
        for (uint64_t cycle = 1, idle = 0;; ++cycle) {
            for (Source& source : sources) source.drive(random_);
            sink.drive(random_);
            tile_.clk = 0;
            tile_.eval();
            if (const char* wrong = sink.wrong()) return wrong;
            bool moved = sink.moved(), complete = sink.taken == job_.expected.count;
            for (Source& source : sources) {
                moved |= source.moved();
                complete &= source.sent == source.words.count;
            }
            taken = sink.taken;
            rise();
            idle = moved ? 0 : idle + 1;
            if (cycle == most || (complete && idle >= kSilence)) return nullptr;
            if (idle >= job_.patience) return complete ? nullptr : "it stopped";
        }
    }

    Tile& tile_;
    const Job& job_;
    Random random_;
};

void judge(const std::vector<Job>& jobs, uint64_t number) {
    VerilatedContext context;
    context.randReset(2);
    context.randSeed(1);
    Tile tile{&context};
    tile.clk = 1;
    tile.rst = 0;
    select(tile, number);
    uint64_t cycles = 0, taken = 0;
    size_t place = 0;
    const char* wrong = nullptr;
    for (; place < jobs.size() && !wrong; ++place) {
        Bench bench(tile, jobs[place]);
        wrong = bench.run();
        cycles += bench.cycles;
        taken += bench.taken;
    }
    std::printf("%llu %zu %llu %llu %s\n", static_cast<unsigned long long>(number),
                wrong ? place - 1 : place, static_cast<unsigned long long>(cycles),
                static_cast<unsigned long long>(taken), wrong ? wrong : "right");
    std::fflush(stdout);
    tile.final();
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) return 1;
    const std::vector<Job> jobs = load(arguments[1]);
    for (int i = 2; i < count; ++i) judge(jobs, std::strtoull(arguments[i], nullptr, 10));
}
