// A board whose serial line is a pseudo-terminal.
//
// Usage: board TERMINAL TIMES DIVISOR LATENCY SEED DROP DUPLICATE FLIP [RULES...]. TERMINAL and TIMES
// are open file descriptors: of the terminal, and of a file that begins with the Times below. LATENCY
// is in clock cycles, both ways, as of a USB bridge; DROP, DUPLICATE and FLIP are probabilities for
// each byte, both ways; RULES are those of a board's SDRAM. Ends when standard input ends, or with
// status 1 where the SDRAM is used wrongly.

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <stdexcept>

#include "Vboard.h"
#ifdef SDRAM
#include "sdram_model.h"
#endif

double sc_time_stamp() { return 0; }

namespace {

constexpr int kChunk = 512;         // cycles between looks at the terminal
constexpr uint64_t kAwake = 1 << 19;  // cycles after the last byte until the simulation slows down
constexpr int kNapMilliseconds = 20;

// Clock cycles.
struct Times {
    uint64_t now;      // since power on
    uint64_t last;     // when the last byte on the line ended
    uint64_t to_board; // during which a byte was on the line to the board
    uint64_t to_host;
};

struct Byte {
    uint64_t when;  // it comes out at the other end
    uint8_t value;
};

class Faults {
  public:
    Faults(uint64_t seed, double drop, double duplicate, double flip)
        : random_(seed), drop_(drop), duplicate_(duplicate), flip_(flip) {}

    // Puts what becomes of a byte behind the others.
    void pass(Byte byte, std::deque<Byte>& line) {
        if (chance(drop_)) return;
        if (chance(flip_)) byte.value ^= 1 + random_() % 255;
        line.push_back(byte);
        if (chance(duplicate_)) line.push_back(byte);
    }

  private:
    bool chance(double probability) {
        return probability > 0 && std::uniform_real_distribution<>()(random_) < probability;
    }
    std::mt19937_64 random_;
    double drop_, duplicate_, flip_;
};

// The chips beside the FPGA.
#ifdef SDRAM
class Chips {
  public:
    static constexpr int kWords = SdramRules::kWords;
    explicit Chips(char** words) : sdram_(SdramRules::parse(words)) {}

    // The SDRAM's clock rises while the board's falls.
    void falling_edge(Vboard& b) {
        sdram_.edge({bool(b.sdram_cke), bool(b.sdram_cs_n), bool(b.sdram_ras_n),
                     bool(b.sdram_cas_n), bool(b.sdram_we_n), b.sdram_ba, b.sdram_a, b.sdram_dqm,
                     b.sdram_dq_o, bool(b.sdram_dq_oe)});
        b.sdram_dq_i = sdram_.dq();
    }

  private:
    SdramModel sdram_;
};
#else
struct Chips {
    static constexpr int kWords = 0;
    explicit Chips(char**) {}
    void falling_edge(Vboard&) {}
};
#endif

class Line {
  public:
    Line(int terminal, int divisor, uint64_t latency, Times& times, Faults faults, Chips& chips)
        : terminal_(terminal), divisor_(divisor), latency_(latency), byte_(10 * divisor),
          times_(times), faults_(faults), chips_(chips) {}

    // One clock cycle of the line.
    void cycle(Vboard& board) {
        send(board);
        board.clk = 1;
        board.eval();
        board.clk = 0;
        board.eval();
        chips_.falling_edge(board);
        receive(board.tx);
        ++times_.now;
    }

    // Takes bytes from the terminal and gives it bytes.
    void exchange() {
        uint8_t bytes[256];
        const uint64_t when = times_.now + latency_;
        if (to_board_.size() <= latency_ / byte_) {
            const ssize_t count = read(terminal_, bytes, sizeof bytes);
            for (ssize_t i = 0; i < count; ++i) faults_.pass({when, bytes[i]}, to_board_);
        }
        while (!to_host_.empty() && to_host_.front().when <= times_.now &&
               write(terminal_, &to_host_.front().value, 1) == 1)
            to_host_.pop_front();
    }

    bool asleep() const {
        return to_board_.empty() && to_host_.empty() && times_.now > times_.last + kAwake;
    }

  private:
    void send(Vboard& board) {
        if (sending_wait_ > 0) {
            --sending_wait_;
            return;
        }
        if (sending_bits_ == 0) {
            board.rx = 1;
            if (to_board_.empty() || to_board_.front().when > times_.now) return;
            sending_ = to_board_.front().value << 1 | 1 << 9;
            to_board_.pop_front();
            sending_bits_ = 10;
            times_.to_board += byte_;
            times_.last = times_.now + byte_;
        }
        board.rx = sending_ & 1;
        sending_ >>= 1;
        --sending_bits_;
        sending_wait_ = divisor_ - 1;
    }

    void receive(bool level) {
        if (receiving_bits_ == 0) {
            if (level) return;
            receiving_bits_ = 9;
            receiving_wait_ = divisor_ * 3 / 2;
            times_.to_host += byte_;
            times_.last = std::max(times_.last, times_.now + byte_);
        }
        if (receiving_wait_-- > 0) return;
        if (--receiving_bits_ == 0) {
            if (level) faults_.pass({times_.now + latency_, received_}, to_host_);
            return;
        }
        received_ = received_ >> 1 | level << 7;
        receiving_wait_ = divisor_ - 1;
    }

    int terminal_, divisor_;
    uint64_t latency_, byte_;
    Times& times_;
    Faults faults_;
    Chips& chips_;
    std::deque<Byte> to_board_, to_host_;
    uint32_t sending_ = 0;
    int sending_bits_ = 0, sending_wait_ = 0;
    uint8_t received_ = 0;
    int receiving_bits_ = 0, receiving_wait_ = 0;
};

bool host_is_gone(int wait) {
    pollfd input{0, POLLIN, 0};
    return poll(&input, 1, wait) > 0;
}

}  // namespace

int main(int count, char** words) {
    if (count != 9 + Chips::kWords) return 2;
    const int terminal = std::atoi(words[1]);
    fcntl(terminal, F_SETFL, fcntl(terminal, F_GETFL) | O_NONBLOCK);
    void* const shared = mmap(nullptr, sizeof(Times), PROT_READ | PROT_WRITE, MAP_SHARED,
                              std::atoi(words[2]), 0);
    if (shared == MAP_FAILED) return 2;
    const Faults faults(std::strtoull(words[5], nullptr, 0), std::atof(words[6]),
                        std::atof(words[7]), std::atof(words[8]));
    Chips chips(words + 9);
    Line line(terminal, std::atoi(words[3]), std::strtoull(words[4], nullptr, 0),
              *static_cast<Times*>(shared), faults, chips);
    VerilatedContext context;
    Vboard board{&context};
    board.rx = 1;
    board.rst = 1;
    board.eval();
    try {
        for (int i = 0; i < 8; ++i) line.cycle(board);
        board.rst = 0;
        while (!host_is_gone(line.asleep() ? kNapMilliseconds : 0)) {
            line.exchange();
            for (int i = 0; i < kChunk; ++i) line.cycle(board);
        }
    } catch (const std::runtime_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    board.final();
}
