// Runs programs on a core whose memory lives here and stays from program to program: commands come
// on standard input, results leave on standard output, both in the machine's byte order.
//
// Checks AXI's rules on the way: what is offered stays offered and unchanged, bursts do not cross
// 4 KiB, WLAST is where AWLEN says. Memory has the place and size that it was given, and may wrap at
// the end of the address space; outside of it the answer is DECERR, or, where it is folded, there is
// one of its pages again.
//
// A core that is not kept from the program before is a new one: all that no reset sets is random,
// by the job's seed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vcore_axi.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#include "lutcore_random.h"
#include "lutcore_registers.h"

double sc_time_stamp() { return 0; }

namespace {

constexpr uint64_t kBus = BUS_BYTES;
constexpr uint64_t kSpace = 1ull << 48;
constexpr uint64_t kPage = 4096;
// Registers end here.
constexpr uint32_t kEnd = LUTCORE_CYCLES + 8 * LUTCORE_COUNTERS;
// AXI's answer to what no register takes.
constexpr uint32_t kRefused = 2;
// Cycles in which a register's access must be taken.
constexpr uint64_t kPatience = 1000;

// A command's kind; its address and size are bytes of memory, of all of it for kResize and kFold.
enum : uint64_t { kResize, kWrite, kRead, kRun, kFold };

struct Command {
    uint64_t kind, address, size;  // kWrite is followed by bytes, kRun by a Job
};

struct Job {
    uint64_t address, length, window_low, window_high;
    uint64_t seed, latency, most_cycles, error_address;
    uint64_t ring_again, abort_at, reset_at, meddle_at;  // cycles, 0: never
    uint64_t keep;                            // no reset before
    uint64_t mutant;                          // of a design that has some, 0: none
    double stall;
};

struct Result {
    uint64_t finished, cause, error_address, irq_status, ran;
    uint64_t counters[LUTCORE_COUNTERS];
    char violation[64];
};

struct Burst {
    uint64_t address, beats, at, response;
};

struct Memory {
    uint64_t base = 0;
    std::vector<uint8_t> bytes;
    bool folded = false;
    // The bytes at an address; nullptr if they are not all there.
    uint8_t* find(uint64_t address, uint64_t size) {
        uint64_t place = (address - base) % kSpace;
        if (folded) {  // all bits of a page's number count
            const uint64_t pages = bytes.size() / kPage;
            uint64_t page = 0;
            for (uint64_t left = place / kPage; left && pages > 1; left /= pages)
                page ^= left % pages;
            place = page * kPage + place % kPage;
        }
        const bool inside = place <= bytes.size() && size <= bytes.size() - place;
        return inside ? bytes.data() + place : nullptr;
    }
};

// A channel's offer, to see that it stays until it is taken.
struct Watch {
    bool held = false;
    std::vector<uint8_t> payload;
    bool broken(bool valid, bool ready, const void* data, size_t size) {
        const uint8_t* bytes = static_cast<const uint8_t*>(data);
        bool bad = held && (!valid || std::memcmp(payload.data(), bytes, size) != 0);
        held = valid && !ready;
        if (held) payload.assign(bytes, bytes + size);
        return bad;
    }
};

class Bench {
  public:
    Bench(const Job& job, Memory& memory)
        : job_(job), memory_(memory), random_{job.seed * 2 + 0x9E3779B97F4A7C15ull} {
        if (job.reset_at || job.ring_again) before_ = memory.bytes;
    }

    Result run(Vcore_axi& core) {
        Result result{};
#if MUTANTS
        core.mutant = job_.mutant;
#endif
        if (!job_.keep) reset(core);
        setup(core);
        uint64_t start = now_;
        bool restarted = false;
        while (true) {
            const uint64_t ran = result.ran = now_ - start;
            if (core.irq) {
                // A second ring as the program ends starts it again, on what it has written.
                if (!job_.ring_again || !(read(core, LUTCORE_STATUS) & 1)) break;
                restarted = true;
            }
            if (ran >= job_.most_cycles || !violation_.empty()) break;
            if (job_.ring_again && ran == job_.ring_again) ring(core);
            if (job_.meddle_at && ran == job_.meddle_at) meddle(core);
            if (job_.abort_at && ran == job_.abort_at) write(core, LUTCORE_CONTROL, 2);
            if (restarted || (job_.reset_at && ran == job_.reset_at)) {
                reset(core);
                memory_.bytes = before_;
                setup(core);
                start = now_;
                job_.reset_at = job_.ring_again = 0;
                restarted = false;
            }
            cycle(core);
        }
        result.finished = core.irq && !(read(core, LUTCORE_STATUS) & 1);
        result.cause = read(core, LUTCORE_STATUS) >> 8 & 15;
        result.error_address = wide(core, LUTCORE_ERROR_ADDRESS);
        result.irq_status = read(core, LUTCORE_IRQ_STATUS);
        for (int i = 0; i < LUTCORE_COUNTERS; ++i)
            result.counters[i] = wide(core, LUTCORE_CYCLES + 8 * i);
        if (result.finished) {
            interrupts(core, result.irq_status);
            refusals(core);
        }
        write(core, LUTCORE_IRQ_STATUS, 7);
        if (core.irq) fail("the interrupt stays after it was cleared");
        if (read(core, LUTCORE_IDENTITY) != 0x4354554C) fail("wrong identity");
        if (result.finished && !(reads_.empty() && writes_.empty() && answers_.empty()))
            fail("transfers are under way after the end");
        std::snprintf(result.violation, sizeof result.violation, "%s", violation_.c_str());
        return result;
    }

  private:
    void fail(const char* text) {
        if (violation_.empty()) violation_ = text;
    }

    void reset(Vcore_axi& core) {
        reads_.clear();
        writes_.clear();
        answers_.clear();
        offered_ = answering_ = false;
        for (Watch& watch : watches_) watch = Watch{};
        core.m_axi_rvalid = core.m_axi_bvalid = 0;
        core.s_axi_awvalid = core.s_axi_wvalid = core.s_axi_arvalid = 0;
        core.s_axi_bready = core.s_axi_rready = 1;
        core.rst = 1;
        for (uint64_t i = random_.next() % 4 + 1; i; --i) tick(core);
        core.rst = 0;
    }

    void setup(Vcore_axi& core) {
        write(core, LUTCORE_IRQ_STATUS, 7);
        write(core, LUTCORE_IRQ_ENABLE, 1);
        write(core, LUTCORE_PROGRAM, job_.address);
        write(core, LUTCORE_PROGRAM + 4, job_.address >> 32);
        write(core, LUTCORE_LENGTH, job_.length);
        write(core, LUTCORE_WINDOW_LOW, job_.window_low);
        write(core, LUTCORE_WINDOW_LOW + 4, job_.window_low >> 32);
        write(core, LUTCORE_WINDOW_HIGH, job_.window_high);
        write(core, LUTCORE_WINDOW_HIGH + 4, job_.window_high >> 32);
        write(core, LUTCORE_CONTROL, 1);
    }

    void tick(Vcore_axi& core) {
        core.clk = 0;
        core.eval();
        core.clk = 1;
        core.eval();
        ++now_;
    }

    // AXI's answer to an access of a word: 2 SLVERR, 3 DECERR.
    uint64_t response(uint64_t address) {
        if (!memory_.find(address, kBus)) return 3;
        return address / kBus == job_.error_address / kBus ? 2 : 0;
    }

    // One clock cycle of the memory and the core.
    void cycle(Vcore_axi& core) {
        if (!offered_) {
            offered_ = !reads_.empty() && reads_.front().at <= now_ && !random_.chance(job_.stall);
            if (offered_) {
                const Burst& burst = reads_.front();
                core.m_axi_rresp = response(burst.address);
                uint8_t* data = reinterpret_cast<uint8_t*>(&core.m_axi_rdata);
                if (core.m_axi_rresp)
                    std::memset(data, 0xEE, kBus);
                else
                    std::memcpy(data, memory_.find(burst.address, kBus), kBus);
                core.m_axi_rlast = burst.beats == 1;
            }
        }
        core.m_axi_rvalid = offered_;
        if (!answering_) {
            answering_ =
                !answers_.empty() && answers_.front().at <= now_ && !random_.chance(job_.stall);
            if (answering_) core.m_axi_bresp = answers_.front().response;
        }
        core.m_axi_bvalid = answering_;
        core.m_axi_arready = reads_.size() < 16 && !random_.chance(job_.stall);
        core.m_axi_awready = writes_.size() < 4 && !random_.chance(job_.stall);
        core.m_axi_wready = !writes_.empty() && !random_.chance(job_.stall);
        core.clk = 0;
        core.eval();
        check(core);
        const bool ar = core.m_axi_arvalid && core.m_axi_arready;
        const bool aw = core.m_axi_awvalid && core.m_axi_awready;
        const bool r = core.m_axi_rvalid && core.m_axi_rready;
        const bool w = core.m_axi_wvalid && core.m_axi_wready;
        const bool b = core.m_axi_bvalid && core.m_axi_bready;
        if (w) take(core);
        if (r) {
            offered_ = false;
            Burst& burst = reads_.front();
            burst.address = (burst.address + kBus) % kSpace;
            if (--burst.beats == 0) reads_.pop_front();
        }
        if (b) {
            answering_ = false;
            answers_.pop_front();
        }
        if (ar) reads_.push_back(burst(core.m_axi_araddr, core.m_axi_arlen));
        if (aw) writes_.push_back(burst(core.m_axi_awaddr, core.m_axi_awlen));
        core.clk = 1;
        core.eval();
        ++now_;
    }

    Burst burst(uint64_t address, uint64_t length) {
        const uint64_t beats = length + 1;
        if (address % kBus) fail("a burst is not aligned");
        if (address / 4096 != (address + beats * kBus - 1) / 4096) fail("a burst crosses 4 KiB");
        const uint64_t wait = job_.latency + (job_.stall > 0 ? random_.next() % 8 : 0);
        return {address, beats, now_ + wait, 0};
    }

    void take(Vcore_axi& core) {
        Burst& burst = writes_.front();
        const uint8_t* data = reinterpret_cast<const uint8_t*>(&core.m_axi_wdata);
        const uint64_t strobes = core.m_axi_wstrb;
        const uint64_t refused = response(burst.address);
        if (refused)
            burst.response = refused;
        else
            for (uint64_t i = 0; i < kBus; ++i)
                if (strobes >> i & 1) memory_.find(burst.address, kBus)[i] = data[i];
        burst.address = (burst.address + kBus) % kSpace;
        if (core.m_axi_wlast != (burst.beats == 1)) fail("WLAST is not where AWLEN says");
        if (--burst.beats == 0) {
            answers_.push_back({0, 0, now_ + job_.latency, burst.response});
            writes_.pop_front();
        }
    }

    void check(Vcore_axi& core) {
        const uint64_t ar[2] = {core.m_axi_araddr, core.m_axi_arlen};
        const uint64_t aw[2] = {core.m_axi_awaddr, core.m_axi_awlen};
        if (watches_[0].broken(core.m_axi_arvalid, core.m_axi_arready, ar, sizeof ar))
            fail("a read address was withdrawn or changed");
        if (watches_[1].broken(core.m_axi_awvalid, core.m_axi_awready, aw, sizeof aw))
            fail("a write address was withdrawn or changed");
        uint8_t w[kBus + 9] = {};
        std::memcpy(w, &core.m_axi_wdata, kBus);
        const uint64_t strobes = core.m_axi_wstrb;
        std::memcpy(w + kBus, &strobes, 8);
        w[kBus + 8] = core.m_axi_wlast;
        if (watches_[2].broken(core.m_axi_wvalid, core.m_axi_wready, w, sizeof w))
            fail("a write word was withdrawn or changed");
        if (core.m_axi_arvalid && (core.m_axi_arburst != 1 || (1u << core.m_axi_arsize) != kBus))
            fail("a read is no full-width INCR burst");
        if (core.m_axi_awvalid && (core.m_axi_awburst != 1 || (1u << core.m_axi_awsize) != kBus))
            fail("a write is no full-width INCR burst");
    }

    bool busy(Vcore_axi& core) { return read(core, LUTCORE_STATUS) & 1; }

    // A doorbell while a program runs, which is told unless it ended meanwhile.
    void ring(Vcore_axi& core) {
        const bool before = busy(core);
        write(core, LUTCORE_CONTROL, 1);
        if (before && busy(core) && !(read(core, LUTCORE_IRQ_STATUS) & 5))
            fail("a doorbell too many is not told");
    }

    // Registers that a running program keeps, written meanwhile.
    void meddle(Vcore_axi& core) {
        const struct {
            uint32_t address;
            uint64_t value;
        } kept[] = {{LUTCORE_PROGRAM, job_.address},
                    {LUTCORE_LENGTH, job_.length},
                    {LUTCORE_WINDOW_LOW, job_.window_low},
                    {LUTCORE_WINDOW_HIGH, job_.window_high}};
        for (const auto& [address, value] : kept) {
            const bool wide = address != LUTCORE_LENGTH;
            write(core, address, ~value);
            if (wide) write(core, address + 4, ~value >> 32);
            if (!busy(core)) return;  // it may have ended before
            uint64_t found = read(core, address);
            if (wide) found |= uint64_t{read(core, address + 4)} << 32;
            if (found != value) fail("a register changes while a program runs");
        }
    }

    // Each event raises the interrupt where it is enabled, and is cleared alone.
    void interrupts(Vcore_axi& core, uint64_t status) {
        for (uint32_t enabled : {0u, 1u, 2u, 4u, 7u}) {
            write(core, LUTCORE_IRQ_ENABLE, enabled);
            if (core.irq != ((status & enabled) != 0)) fail("the interrupt is not as enabled");
        }
        for (uint32_t event : {2u, 4u}) {
            write(core, LUTCORE_IRQ_STATUS, event);
            status &= ~event;
            if (read(core, LUTCORE_IRQ_STATUS) != status) fail("an event is not cleared alone");
        }
        write(core, LUTCORE_IRQ_ENABLE, 1);
    }

    // What must be refused, and change nothing.
    void refusals(Vcore_axi& core) {
        for (uint32_t strobes = 0; strobes < 15; ++strobes)
            write(core, LUTCORE_IRQ_ENABLE, 7, strobes, kRefused);
        for (uint32_t address = kEnd; address < 256; address += 4) {
            write(core, address, 7, 15, kRefused);
            read(core, address, kRefused);
        }
        if (read(core, LUTCORE_IRQ_ENABLE) != 1) fail("a refused write changes a register");
    }

    void write(Vcore_axi& core, uint32_t address, uint32_t value, uint32_t strobes = 15,
               uint32_t response = 0) {
        core.s_axi_awaddr = address;
        core.s_axi_wdata = value;
        core.s_axi_wstrb = strobes;
        core.s_axi_awvalid = core.s_axi_wvalid = 1;
        for (uint64_t tries = 0, taken = 0; !taken; ++tries) {
            if (tries == kPatience) return fail("a register write is not taken");
            core.clk = 0;
            core.eval();
            taken = core.s_axi_awready && core.s_axi_wready;
            cycle(core);
        }
        core.s_axi_awvalid = core.s_axi_wvalid = 0;
        cycle(core);
        if (core.s_axi_bresp != response) fail("a register write is answered wrong");
    }

    uint32_t read(Vcore_axi& core, uint32_t address, uint32_t response = 0) {
        core.s_axi_araddr = address;
        core.s_axi_arvalid = 1;
        for (uint64_t tries = 0, taken = 0; !taken; ++tries) {
            if (tries == kPatience) return fail("a register read is not taken"), 0;
            core.clk = 0;
            core.eval();
            taken = core.s_axi_arready;
            cycle(core);
        }
        core.s_axi_arvalid = 0;
        const uint32_t value = core.s_axi_rdata;
        cycle(core);
        if (core.s_axi_rresp != response) fail("a register read is answered wrong");
        return value;
    }

    uint64_t wide(Vcore_axi& core, uint32_t address) {
        const uint64_t low = read(core, address);
        return low | uint64_t{read(core, address + 4)} << 32;
    }

    Job job_;
    Memory& memory_;
    std::vector<uint8_t> before_;  // what it held, if the program may be run anew
    Random random_;
    uint64_t now_ = 0;
    bool offered_ = false, answering_ = false;
    std::deque<Burst> reads_, writes_, answers_;
    Watch watches_[3];
    std::string violation_;
};

// Whether lines and toggles are counted, which takes one core for all programs.
#if VM_COVERAGE
constexpr bool kCounts = true;
#else
constexpr bool kCounts = false;
#endif

// A core whose registers and memories hold anything.
class Device {
  public:
    Device(uint64_t seed, int count, char** arguments) {
        context_.commandArgs(count, arguments);
        context_.randReset(2);
        context_.randSeed(static_cast<int>(Random{seed * 2 + 0x2545F4914F6CDD1Dull}.next() >> 33));
        core = std::make_unique<Vcore_axi>(&context_);
    }
    ~Device() { core->final(); }

    // What a build with coverage has counted, of all programs of this core.
    void save() {
#if VM_COVERAGE
        context_.coveragep()->forcePerInstance(true);
        context_.coveragep()->write(std::getenv("LUTCORE_COVERAGE"));
#endif
    }

  private:
    VerilatedContext context_;

  public:
    std::unique_ptr<Vcore_axi> core;
};

}  // namespace

int main(int count, char** arguments) {
    std::unique_ptr<Device> device;
    Memory memory;
    Command command;
    while (std::fread(&command, sizeof command, 1, stdin) == 1) {
        const auto [kind, address, size] = command;
        if (kind == kResize || kind == kFold) {
            memory.folded = kind == kFold;
            memory.base = address;
            memory.bytes.assign(size, 0);
            continue;
        }
        if (kind == kRun) {
            Job job;
            if (std::fread(&job, sizeof job, 1, stdin) != 1) return 1;
            if (!device || !(job.keep || kCounts)) {
                device.reset();
                device = std::make_unique<Device>(job.seed, count, arguments);
            }
            const Result result = Bench(job, memory).run(*device->core);
            std::fwrite(&result, sizeof result, 1, stdout);
        } else {
            uint8_t* place = memory.find(address, size);
            if (!place) return 1;
            if (kind == kWrite && std::fread(place, 1, size, stdin) != size) return 1;
            if (kind == kRead) std::fwrite(place, 1, size, stdout);
        }
        std::fflush(stdout);
    }
    if (device) device->save();
}
