// A single-data-rate SDRAM that checks how it is used.
//
// It knows the chip's times in ps and nothing of its controller. Whatever breaks a rule of the data
// sheet is a std::runtime_error that says when, what and by how much.

#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

// What a data sheet says, times in ps; words of a command line in this order.
struct SdramRules {
    int64_t period;  // of the clock
    int64_t bank_bits, row_bits, column_bits, data_bits;
    int64_t power_up, activate_to_access, precharge, activate_to_activate, activate_to_precharge;
    int64_t write_recovery, refresh, refresh_interval, mode_cycles;
    int64_t shortest_2, shortest_3;  // clock periods that CAS latencies 2 and 3 allow

    static constexpr int kWords = 16;

    static SdramRules parse(char** words) {
        int64_t v[kWords];
        for (int i = 0; i < kWords; ++i) v[i] = std::stoll(words[i]);
        return {v[0], v[1], v[2],  v[3],  v[4],  v[5],  v[6],  v[7],
                v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]};
    }
};

// Levels of the chip's pins at a rising edge of its clock.
struct SdramPins {
    bool cke, cs_n, ras_n, cas_n, we_n;
    uint32_t ba, a, dqm, dq;
    bool driven;  // dq, by the controller
};

class SdramModel {
  public:
    explicit SdramModel(const SdramRules& rules)
        : rules_(rules),
          banks_(1 << rules.bank_bits),
          cells_(size_t{1} << (rules.bank_bits + rules.row_bits + rules.column_bits)) {
        if (rules.data_bits != 16) fail("only chips of 16 bits are modelled", 0);
    }

    // A rising edge of the clock; dq() is then what the chip drives until the next one.
    void edge(const SdramPins& pins) {
        now_ += rules_.period;
        dq_ = random_();
        masks_[1] = masks_[0];
        masks_[0] = pins.dqm;
        if (!pins.cke) fail("CKE is low", 0);
        if (pins.driven) check_contention();
        if (!pins.cs_n) command(pins);
        if (ready_ == 3 && now_ - refreshed_ > rules_.refresh_interval)
            fail("no refresh in time", now_ - refreshed_ - rules_.refresh_interval);
        output();
    }

    uint32_t dq() const { return dq_; }
    int64_t refreshes() const { return refreshes_; }

  private:
    static constexpr int64_t kNever = -1'000'000'000'000;
    static constexpr int64_t kLetsGo = 5'400;      // ps from an edge until dq floats
    static constexpr int kFirstRefreshes = 2;

    struct Bank {
        bool open = false;
        uint32_t row = 0;
        int64_t activated = kNever, precharged = kNever, written = kNever;
    };
    struct Coming {  // a word that was read
        int64_t when;  // edge at which the controller may rely on it
        uint32_t data;
    };

    [[noreturn]] void fail(const std::string& what, int64_t by) const {
        throw std::runtime_error("SDRAM: " + what + (by ? " by " + std::to_string(by) + " ps" : "") +
                                 " at " + std::to_string(now_) + " ps");
    }

    void since(int64_t then, int64_t least, const char* what) const {
        if (now_ - then < least) fail(what, least - (now_ - then));
    }

    void command(const SdramPins& pins) {
        const int code = pins.ras_n << 2 | pins.cas_n << 1 | pins.we_n;
        if (code == 7) return;
        since(mode_set_, rules_.mode_cycles * rules_.period, "a command too soon after the mode");
        since(refreshed_, rules_.refresh, "tRFC is too short");
        switch (code) {
            case 0: return set_mode(pins);
            case 1: return refresh();
            case 2: return precharge(pins);
            case 3: return activate(pins);
            case 4: return access(pins, true);
            case 5: return access(pins, false);
            default: fail("BURST TERMINATE is not meant", 0);
        }
    }

    void set_mode(const SdramPins& pins) {
        idle("MODE");
        if (ready_ != 1 || refreshes_ < kFirstRefreshes) fail("MODE before two refreshes", 0);
        latency_ = pins.a >> 4 & 7;
        if (pins.ba || (pins.a & ~0x70u)) fail("MODE sets what is not meant", 0);
        if (latency_ != 2 && latency_ != 3) fail("no such CAS latency", 0);
        const int64_t shortest = latency_ == 2 ? rules_.shortest_2 : rules_.shortest_3;
        if (rules_.period < shortest) fail("too fast for the CAS latency", shortest - rules_.period);
        mode_set_ = now_;
        ready_ = 3;
    }

    void refresh() {
        idle("REFRESH");
        if (ready_ == 0) fail("REFRESH before all banks are precharged", 0);
        refreshed_ = now_;
        ++refreshes_;
    }

    void precharge(const SdramPins& pins) {
        if (ready_ == 0) {
            since(0, rules_.power_up, "too soon after power came on");
            if (!(pins.a >> 10 & 1)) fail("the first precharge is not of all banks", 0);
            ready_ = 1;
        }
        for (uint32_t i = 0; i < banks_.size(); ++i) {
            if (!(pins.a >> 10 & 1) && i != pins.ba) continue;
            Bank& bank = banks_[i];
            if (bank.open) {
                since(bank.activated, rules_.activate_to_precharge, "tRAS is too short");
                since(bank.written, rules_.write_recovery, "tWR is too short");
            }
            bank.open = false;
            bank.precharged = now_;
        }
    }

    void activate(const SdramPins& pins) {
        usable();
        Bank& bank = banks_[pins.ba];
        if (bank.open) fail("ACTIVATE of an open bank", 0);
        since(bank.precharged, rules_.precharge, "tRP is too short");
        since(bank.activated, rules_.activate_to_activate, "tRC is too short");
        bank.open = true;
        bank.row = pins.a;
        bank.activated = now_;
        bank.written = kNever;
    }

    void access(const SdramPins& pins, bool writes) {
        usable();
        Bank& bank = banks_[pins.ba];
        if (!bank.open) fail("an access to a closed row", 0);
        since(bank.activated, rules_.activate_to_access, "tRCD is too short");
        if (pins.a >> rules_.column_bits) fail("no such column, or auto precharge", 0);
        const uint64_t row = uint64_t{bank.row} << rules_.bank_bits | pins.ba;
        uint16_t& cell = cells_[row << rules_.column_bits | pins.a];
        if (!writes) {
            coming_.push_back({now_ + latency_ * rules_.period, cell});
            return;
        }
        if (!pins.driven) fail("WRITE without data", 0);
        for (int byte = 0; byte < 2; ++byte) {
            const uint16_t mask = 0xFF << 8 * byte;
            if (!(pins.dqm >> byte & 1)) cell = (cell & ~mask) | (pins.dq & mask);
        }
        bank.written = now_;
    }

    // From the edge before the one at which it counts until that one, dq is the chip's.
    void output() {
        while (!coming_.empty() && coming_.front().when <= now_) coming_.erase(coming_.begin());
        if (coming_.empty() || coming_.front().when != now_ + rules_.period) return;
        dq_ = coming_.front().data;
        floats_ = now_ + rules_.period + kLetsGo;
        for (int byte = 0; byte < 2; ++byte)  // masks of reads come two cycles before the data
            if (masks_[1] >> byte & 1) dq_ ^= (random_() | 1u << 8 * byte) & (0xFFu << 8 * byte);
    }

    // The controller drives from half a cycle before the edge.
    void check_contention() const {
        const int64_t driven = now_ - rules_.period / 2;
        if (driven < floats_) fail("both sides drive DQ", floats_ - driven);
    }

    void idle(const char* what) const {
        for (const Bank& bank : banks_) {
            if (bank.open) fail(std::string(what) + " with an open row", 0);
            since(bank.precharged, rules_.precharge, "tRP is too short");
        }
    }

    void usable() const {
        if (ready_ != 3) fail("an access before the mode is set", 0);
    }

    SdramRules rules_;
    std::vector<Bank> banks_;
    std::vector<uint16_t> cells_;
    std::vector<Coming> coming_;
    std::mt19937 random_{1};
    uint32_t dq_ = 0, masks_[2] = {};
    int ready_ = 0;  // 1: precharged, 3: mode set
    int latency_ = 0;
    int64_t now_ = 0, refreshed_ = kNever, mode_set_ = kNever, floats_ = kNever, refreshes_ = 0;
};
