#include "hosts/threads.h"

#include <pthread.h>

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

class Crew {
 public:
  bool run(int threads, void (*work)(void*, int), void* data) {
    std::unique_lock<std::mutex> lock(busy, std::try_to_lock);
    if (!lock || !grow(threads - 1)) return false;
    job = {work, data, threads};
    left.store(members, std::memory_order_relaxed);
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
      if (member.thread < job.threads) job.work(job.data, member.thread);
      if (--crew.left == 0) crew.done.advance();
    }
  }

  std::mutex busy;
  Job job{};
  Turnstile start, done;
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
