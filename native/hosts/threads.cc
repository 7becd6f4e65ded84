#include "hosts/threads.h"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace unrolled {
namespace {

/** Turns of the loop that looks before it sleeps: some tens of microseconds, as long as the shortest pieces of work between two meetings. */
constexpr int PATIENCE = 2000;

inline void rest() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** A count that only grows, and threads that wait until it has changed: they look for a while, then sleep. */
class Turnstile {
 public:
  unsigned now() const { return count.load(std::memory_order_acquire); }

  void advance() {
    count.fetch_add(1);
    if (!sleepers.load()) return;
    // One who sleeps has the mutex until it waits, so that it cannot miss the call.
    { std::lock_guard<std::mutex> lock(mutex); }
    wake.notify_all();
  }

  void waitBeyond(unsigned seen) {
    for (int i = 0; i < PATIENCE; i++) {
      if (now() != seen) return;
      rest();
    }
    std::unique_lock<std::mutex> lock(mutex);
    sleepers++;
    wake.wait(lock, [&] { return count.load() != seen; });
    sleepers--;
  }

 private:
  std::atomic<unsigned> count{0};
  std::atomic<int> sleepers{0};
  std::mutex mutex;
  std::condition_variable wake;
};

/**
 * Lets the threads of a run begin on different processors: each on an equal part of those that the process may use. A thread that wakes another
 * one may be given it on its own processor; it then waits there behind a thread that does not sleep, while another processor has nothing to
 * do, until the system looks at how work is spread, some milliseconds later. Once awake a thread may go anywhere: where other programs keep a
 * processor busy, the system knows better. Where there are fewer processors than threads nothing is done.
 */
class Spread {
 public:
  /** Called by thread 0 before it wakes the others: threads 1 and on. */
  void part(const pthread_t* others, int threads) {
#ifdef __linux__
    parted = false;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    const int all = CPU_COUNT(&allowed), own = partOf(sched_getcpu(), all, threads);
    if (all < threads || own < 0) return;
    parted = true;
    for (int i = 1, part = 0; i < threads; i++, part++) {
      if (part == own) part++;
      const cpu_set_t mask = processorsOf(part, all, threads);
      pthread_setaffinity_np(others[i - 1], sizeof mask, &mask);
    }
#else
    (void)others;
    (void)threads;
#endif
  }

  /** Called by each of the others when it is awake. */
  void free() const {
#ifdef __linux__
    if (parted) sched_setaffinity(0, sizeof allowed, &allowed);
#endif
  }

 private:
#ifdef __linux__
  bool parted = false;
  cpu_set_t allowed;

  /** The part of the allowed processors that one belongs to; -1: it is not allowed. */
  int partOf(int processor, int all, int parts) const {
    if (processor < 0 || processor >= CPU_SETSIZE || !CPU_ISSET(processor, &allowed)) return -1;
    int before = 0;
    for (int cpu = 0; cpu < processor; cpu++) before += CPU_ISSET(cpu, &allowed) ? 1 : 0;
    return before * parts / all;
  }

  cpu_set_t processorsOf(int part, int all, int parts) const {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (int cpu = 0, i = 0; cpu < CPU_SETSIZE && i < all; cpu++)
      if (CPU_ISSET(cpu, &allowed) && i++ * parts / all == part) CPU_SET(cpu, &mask);
    return mask;
  }
#endif
};

class Crew {
 public:
  bool run(int threads, void (*work)(void*, int), void* data) {
    std::unique_lock<std::mutex> lock(busy, std::try_to_lock);
    if (!lock || !grow(threads - 1)) return false;
    job = {work, data, threads};
    left.store(members, std::memory_order_relaxed);
    spread.part(handles, threads);
    start.advance();
    work(data, 0);
    for (unsigned seen = done.now(); left.load(std::memory_order_acquire); seen = done.now()) done.waitBeyond(seen);
    return true;
  }

  void dismiss() {
    std::lock_guard<std::mutex> lock(busy);
    job = {nullptr, nullptr, 0};
    start.advance();
    for (; members; members--) pthread_join(handles[members - 1], nullptr);
  }

 private:
  struct Job {
    void (*work)(void*, int);
    void* data;
    int threads;
  };
  struct Member {
    Crew* crew;
    int thread;
    unsigned seen;
  };

  bool grow(int helpers) {
    if (helpers >= MOST_THREADS) return false;
    for (; members < helpers; members++) {
      Member& member = list[members];
      member = {this, members + 1, start.now()};
      if (pthread_create(&handles[members], nullptr, live, &member)) return false;
    }
    return true;
  }

  static void* live(void* argument) {
    Member& member = *(Member*)argument;
    Crew& crew = *member.crew;
    for (;;) {
      crew.start.waitBeyond(member.seen);
      member.seen = crew.start.now();
      const Job job = crew.job;
      if (!job.work) return nullptr;
      if (member.thread < job.threads) {
        crew.spread.free();
        job.work(job.data, member.thread);
      }
      if (--crew.left == 0) crew.done.advance();
    }
  }

  std::mutex busy;
  Job job{};
  Turnstile start, done;
  Spread spread;
  std::atomic<int> left{0};
  int members = 0;
  Member list[MOST_THREADS];
  pthread_t handles[MOST_THREADS];
};

Crew& crew() {
  static Crew* one = new Crew;  // lives as long as the process: runs may end late
  return *one;
}

}  // namespace

bool shareOut(int threads, void (*work)(void* data, int thread), void* data) { return crew().run(threads, work, data); }

void dismissThreads() { crew().dismiss(); }

struct MeetingPoint::State {
  int threads;
  std::atomic<int> here{0};
  std::atomic<bool> stop{false};
  bool stopped = false;
  Turnstile turns;
};

MeetingPoint::MeetingPoint(int threads) : state(new State) { state->threads = threads; }
MeetingPoint::~MeetingPoint() { delete state; }

bool MeetingPoint::meet(bool stop) {
  State& s = *state;
  if (stop) s.stop = true;
  const unsigned seen = s.turns.now();
  if (++s.here == s.threads) {
    s.here = 0;
    // Read by all before anyone can come to the next meeting.
    s.stopped = s.stop;
    s.turns.advance();
  } else {
    s.turns.waitBeyond(seen);
  }
  return s.stopped;
}

}  // namespace unrolled
