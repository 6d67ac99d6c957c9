// Random and steady traffic on a memory with SDRAM behind it, held against plain bytes.
//
// Usage: memory TRAFFIC SEED BURSTS FAULT RULES... TRAFFIC is random or steady, BURSTS those of each
// direction, FAULT what is done to the pins on the way to the chip. Prints cycles, words read and
// written, refreshes; status 1 with a line on standard error where something is wrong.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vmemory.h"
#include "sdram_model.h"

double sc_time_stamp() { return 0; }

namespace {

constexpr int kBytes = 8;  // of a word of the bus
constexpr uint64_t kSize = 32u << 20, kPage = 4096;

struct Span {
    uint64_t first = 0;
    int beats = 0, done = 0;
    bool addressed = false;
    bool busy() const { return beats; }
    bool meets(const Span& other) const {
        return busy() && other.busy() && first < other.first + other.beats * kBytes &&
               other.first < first + beats * kBytes;
    }
};

class Traffic {
  public:
    Traffic(bool steady, uint64_t seed, int bursts)
        : steady_(steady), bursts_(bursts), random_(seed), bytes_(kSize) {}

    bool done() const { return reads_ >= bursts_ && writes_ >= bursts_ && !read_.busy(); }
    int64_t words_read = 0, words_written = 0, words_single = 0;

    // Looks at what was agreed on in this cycle, before the rising edge.
    void look(Vmemory& m) {
        if (m.bus_arvalid && m.bus_arready) read_.addressed = true;
        if (m.bus_awvalid && m.bus_awready) write_.addressed = true;
        if (m.bus_rvalid && m.bus_rready) check_beat(m);
        if (m.bus_wvalid && m.bus_wready) {
            write_beat(m);
            ++words_written;
            write_.done++;
            offered_ = false;
        }
        if (m.bus_bvalid && m.bus_bready) {
            expect(write_.busy() && write_.done == write_.beats, "an answer that nobody waits for");
            expect(m.bus_bresp == answer(write_), "a wrong answer to a write");
            write_ = {};
            ++writes_;
        }
        if ((m.words_read || m.words_write) && m.words_done) single_done(m);
    }

    // Sets the inputs of the next cycle.
    void drive(Vmemory& m) {
        if (chance(0.002)) stalls_ = std::uniform_real_distribution<>(0, 0.9)(random_);
        if (chance(0.002)) stalls_ = 0;
        if (steady_) stalls_ = 0;
        if (!read_.busy() && reads_ < bursts_ && (!steady_ || writes_ >= bursts_)) begin(read_);
        if (!write_.busy() && writes_ < bursts_) begin(write_);
        if (!steady_ && !single_.busy() && chance(0.05)) {
            begin(single_);
            single_writes_ = chance(0.5);
            m.words_write_data = random_();
        }
        m.bus_arvalid = read_.busy() && !read_.addressed;
        m.bus_araddr = read_.first;
        m.bus_arlen = read_.beats - 1;
        m.bus_awvalid = write_.busy() && !write_.addressed;
        m.bus_awaddr = write_.first;
        m.bus_awlen = write_.beats - 1;
        m.bus_rready = !chance(stalls_);
        m.bus_bready = !chance(stalls_);
        if (!offered_ && write_.addressed && write_.done < write_.beats && !chance(stalls_)) {
            offered_ = true;
            m.bus_wdata = uint64_t{random_()} << 32 | random_();
            m.bus_wstrb = chance(0.5) ? 0xFF : random_();
            m.bus_wlast = write_.done == write_.beats - 1;
        }
        m.bus_wvalid = offered_;
        m.words_read = single_.busy() && !single_writes_;
        m.words_write = single_.busy() && single_writes_;
        m.words_address = single_.first;
    }

  private:
    void begin(Span& span) {
        do {
            // Rows that are near, neighbours of rows, or any.
            uint64_t most = steady_ ? kSize : chance(0.7) ? 4 * kPage : kSize;
            if (&span == &single_) most = kSize;
            span = {};
            span.first = random_() % most / kBytes * kBytes;
            if (steady_) span.first = span.first / kPage * kPage;
            if (!steady_ && chance(0.02)) span.first += kSize;
            const int room = (kPage - span.first % kPage) / kBytes;
            const int most_beats = std::min(room, 256);
            span.beats = steady_ ? most_beats : 1 + random_() % (chance(0.5) ? 4 : most_beats);
            span.beats = std::min(span.beats, most_beats);
            if (&span == &single_) span.beats = 1;
        } while ((&span != &read_ && span.meets(read_)) || (&span != &write_ && span.meets(write_)) ||
                 (&span != &single_ && span.meets(single_)));
        if (&span == &single_) span.first += 4 * (random_() % 2);
    }

    static int answer(const Span& span) { return span.first < kSize ? 0 : 3; }

    void check_beat(Vmemory& m) {
        expect(read_.busy(), "data that nobody waits for");
        expect(m.bus_rresp == answer(read_), "a wrong answer to a read");
        expect(m.bus_rlast == (read_.done == read_.beats - 1), "a wrong end of a burst");
        const uint64_t place = read_.first + read_.done * kBytes;
        for (int i = 0; i < kBytes && place < kSize; ++i)
            expect(uint8_t(m.bus_rdata >> 8 * i) == bytes_[place + i], "wrong data of a burst");
        ++words_read;
        if (++read_.done == read_.beats) {
            read_ = {};
            ++reads_;
        }
    }

    void write_beat(Vmemory& m) {
        const uint64_t place = write_.first + write_.done * kBytes;
        for (int i = 0; i < kBytes && place < kSize; ++i)
            if (m.bus_wstrb >> i & 1) bytes_[place + i] = m.bus_wdata >> 8 * i;
    }

    void single_done(Vmemory& m) {
        expect(m.words_error == (single_.first >= kSize), "a wrong error of a word");
        for (int i = 0; i < 4 && single_.first < kSize; ++i) {
            uint8_t& byte = bytes_[single_.first + i];
            if (single_writes_) byte = m.words_write_data >> 8 * i;
            expect(single_writes_ || uint8_t(m.words_read_data >> 8 * i) == byte, "a wrong word");
        }
        single_ = {};
        ++words_single;
    }

    bool chance(double probability) {
        return probability > 0 && std::uniform_real_distribution<>()(random_) < probability;
    }

    static void expect(bool holds, const char* otherwise) {
        if (!holds) throw std::runtime_error(otherwise);
    }

    bool steady_;
    int bursts_, reads_ = 0, writes_ = 0;
    std::mt19937 random_;
    std::vector<uint8_t> bytes_;
    Span read_, write_, single_;
    bool single_writes_ = false, offered_ = false;
    double stalls_ = 0;
};

// What reaches the chip.
SdramPins pins_of(Vmemory& m, const std::string& fault, int64_t refreshes) {
    SdramPins pins{bool(m.pins_cke),   bool(m.pins_cs_n), bool(m.pins_ras_n),
                   bool(m.pins_cas_n), bool(m.pins_we_n), m.pins_ba,
                   m.pins_a,           m.pins_dqm,        m.pins_dq_o,
                   bool(m.pins_dq_oe)};
    const int code = pins.ras_n << 2 | pins.cas_n << 1 | pins.we_n;
    if (fault == "refresh" && code == 1 && refreshes == 40) pins.cs_n = true;
    if (fault == "mask" && code == 4) pins.dqm = 0;
    if (fault == "latency" && code == 0) pins.a ^= 0x10;
    if (fault == "precharge" && code == 2 && refreshes == 40) pins.cs_n = true;
    if (fault == "mode" && code == 0) pins.cs_n = true;
    return pins;
}

}  // namespace

int main(int count, char** words) {
    if (count != 5 + SdramRules::kWords) return 2;
    const std::string traffic_kind = words[1], fault = words[4];
    Traffic traffic(traffic_kind == "steady", std::strtoull(words[2], nullptr, 0),
                    std::atoi(words[3]));
    SdramModel chip(SdramRules::parse(words + 5));
    VerilatedContext context;
    Vmemory memory{&context};
    int64_t cycles = 0, began = 0;
    try {
        for (; !traffic.done(); ++cycles) {
            memory.rst = cycles < 4;
            if (cycles > 4) traffic.drive(memory);
            memory.eval();
            if (cycles > 4) traffic.look(memory);
            if (!began && traffic.words_written > 1) began = cycles;  // the chip is ready
            memory.clk = 1;
            memory.eval();
            memory.clk = 0;
            memory.eval();
            chip.edge(pins_of(memory, fault, chip.refreshes()));
            memory.pins_dq_i = chip.dq();
            if (cycles > 100'000'000) throw std::runtime_error("it does not end");
        }
    } catch (const std::runtime_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::printf("%ld %ld %ld %ld %ld\n", long(cycles - began), long(traffic.words_read),
                long(traffic.words_written), long(traffic.words_single), long(chip.refreshes()));
    memory.final();
}
