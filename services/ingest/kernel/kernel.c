/* Ingest's receive kernel: from a camera's bytes to messages of the mesh, for pictures that are as usual.

   What it does is specified by the Python beside it, which does the same where this was not built: services/media/
   rtsp/framing.py, rtp_receive.py, rtp_track.py and depacketize/ (scan, build), ingest/timing/nal_assembler.py (build),
   source_clock.py, retiming.py, wall.py and capture.py (stamp), ingest/pipeline.py and contracts/frames.py (the message).
   A picture is taken whole or not at all: what is not as usual is left to Python, with all state as it was. */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "kernel.h"

#define EXPORT __attribute__((visibility("default")))

enum {
  PREFIX_BYTES = 4,
  RTP_BYTES = 12,
  SEARCHED_BYTES = 96,
  LINE_BYTES = 20, /* of a PUB line, without the subject */
  HEAD_BYTES = 58 + 5, /* frames._HEAD and _PAYLOAD_HEAD */
  KEYFRAME = 1,
  DISPOSABLE = 4,
  H264 = 1,
  HEVC = 2,
  RTCP = 1
};

#define SECOND_90K INT64_C(90000)
#define TOLERANCE (2 * SECOND_90K)
#define MAX_AHEAD (5 * SECOND_90K)
#define GAIN 0.3
#define LEAK 0.0005
#define BUCKET_US INT64_C(2000000)
#define JUMP_US INT64_C(2000000)
#define SANE_EARLY_US INT64_C(500000)
#define SANE_LATE_US INT64_C(3000000)
#define STEPPED_US INT64_C(10000000)
#define ROOM_SHARE 8
#define MOST_ROOM_90K 90000
#define RTCP_FLOOR_US INT64_C(5000)
#define MOST INT64_C(2000000000000000) /* of times: doubles hold it, and half of one; what is more is Python's */

static uint32_t read16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static uint32_t read32(const uint8_t *at) { return read16(at) << 16 | read16(at + 2); }

static void write16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value) {
  write16(at, value >> 16);
  write16(at + 2, value);
}

static void write64(uint8_t *at, uint64_t value) {
  write32(at, (uint32_t)(value >> 32));
  write32(at + 4, (uint32_t)value);
}

static int64_t floor_div(int64_t value, int64_t by) {
  int64_t quotient = value / by;
  return quotient * by > value ? quotient - 1 : quotient;
}

static int64_t least_of(int64_t one, int64_t other) { return one < other ? one : other; }

static int64_t most_of(int64_t one, int64_t other) { return one > other ? one : other; }

static int is_sane(int64_t value) { return -MOST < value && value < MOST; }

/* Python's round: halves to the even neighbour. Of less than 2^51. */
static int64_t round_even(double value) {
  volatile double shifted = value + 6755399441055744.0;
  return (int64_t)(shifted - 6755399441055744.0);
}

/* Finding a picture. */

typedef enum { OTHER, SETS, SEI, PLAIN, KEY } kind_t; /* of NAL units; PLAIN and KEY are slices */

typedef struct {
  const uint8_t *at;
  uint32_t bytes;
  kind_t kind;
  uint8_t begins;       /* a NAL unit; else it goes on with the one before */
  uint8_t header_bytes; /* of a fragmented one, in front of its first part */
  uint8_t header[2];
} part_t;

typedef struct {
  part_t parts[PI_PARTS];
  uint32_t count, units, payload_bytes, packets, behind, stamp;
  uint32_t slices, sei, sets_at; /* sets_at: how much of the sets in force it has repeated */
  kind_t kind;                   /* of its slices */
  uint8_t disposable;
} picture_t;

/* By nal_unit_type. Odd first bytes in H.265 are of layers that nobody sends, or of H.264's sets. */
static kind_t kind_of(const pi_connection *c, uint8_t first) {
  if (!c->h265) {
    switch (first & 0x1F) {
      case 1: return PLAIN;
      case 5: return KEY;
      case 6: return SEI;
      case 7: case 8: return SETS;
      default: return OTHER;
    }
  }
  switch (first >> 1 & 0x3F) {
    case 1: return PLAIN;
    case 19: case 20: case 21: return first & 1 ? OTHER : KEY;
    case 32: case 33: case 34: return first & 1 ? OTHER : SETS;
    case 39: return SEI;
    default: return OTHER;
  }
}

/* Takes the beginning of a NAL unit into the picture: all of it, or its first fragment. 0 where it is not usual. */
static int begin_unit(const pi_connection *c, picture_t *picture, const part_t *part) {
  const uint8_t unit0 = part->header_bytes ? part->header[0] : part->at[0];
  const uint8_t beginning = part->at[part->header_bytes ? 0 : c->h265 ? 2 : 1];
  if (picture->units++ == PI_UNITS || !unit0) {
    return 0;
  }
  switch (part->kind) {
    case SETS: {
      const uint32_t left = c->sets_bytes - picture->sets_at;
      const uint8_t *known = c->sets + picture->sets_at;
      if (picture->slices || picture->sei || left < 4 + part->bytes || read32(known) != part->bytes ||
          memcmp(known + 4, part->at, part->bytes) != 0) {
        return 0;
      }
      picture->sets_at += 4 + part->bytes;
      return 1;
    }
    case SEI:
      picture->sei = 1;
      if (picture->slices) {
        return 0;
      }
      break;
    case PLAIN:
    case KEY:
      /* A picture's first slice says so, and no other. */
      if ((beginning >> 7) == (picture->slices > 0) || (picture->slices && part->kind != picture->kind)) {
        return 0;
      }
      if (!picture->slices) {
        const int key = part->kind == KEY;
        if (key ? !c->sets_bytes || (picture->sets_at && picture->sets_at != c->sets_bytes) : picture->sets_at > 0) {
          return 0;
        }
        picture->kind = part->kind;
        picture->payload_bytes += key ? c->sets_bytes : 0;
        picture->disposable = !key && !c->h265 && (unit0 >> 5 & 3) == 0;
      }
      picture->slices++;
      break;
    default: return 0;
  }
  picture->payload_bytes += 4 + part->header_bytes;
  return 1;
}

/* Takes a whole NAL unit; 0 where it is not usual. */
static int add_unit(const pi_connection *c, picture_t *picture, const uint8_t *at, uint32_t bytes) {
  if (picture->count == PI_PARTS || bytes < (c->h265 ? 4 : 3) || !at[bytes - 1]) {
    return 0;
  }
  part_t *part = &picture->parts[picture->count++];
  *part = (part_t){.at = at, .bytes = bytes, .kind = kind_of(c, at[0]), .begins = 1};
  if (!begin_unit(c, picture, part)) {
    return 0;
  }
  picture->payload_bytes += part->kind == SETS ? 0 : bytes;
  return 1;
}

/* Takes the NAL units of an aggregation packet's payload (RFC 6184, 5.7.1; RFC 7798, 4.4.2). */
static int add_aggregated(const pi_connection *c, picture_t *picture, const uint8_t *payload, uint32_t bytes) {
  uint32_t at = c->h265 ? 2 : 1;
  while (at + 2 < bytes) {
    const uint32_t size = read16(payload + at);
    at += 2;
    if (size > bytes - at || !add_unit(c, picture, payload + at, size)) {
      return 0;
    }
    at += size;
  }
  return at == bytes;
}

/* Looks at the packets from the connection's beginning on: PI_FULL where a picture is whole, and else what to do. */
static int scan(const pi_connection *c, picture_t *picture) {
  const uint8_t *buffer = c->buffer;
  const uint32_t fragment_bytes = c->h265 ? 3 : 2;
  const uint8_t mask = c->h265 ? 0x7E : 0x1F, fragmented = c->h265 ? 49 << 1 : 28, together = c->h265 ? 48 << 1 : 24;
  uint32_t at = c->begin, number = c->next_number;
  kind_t inside = OTHER; /* of the NAL unit whose fragments come */
  picture->count = picture->units = picture->payload_bytes = picture->packets = 0;
  picture->slices = picture->sei = picture->sets_at = picture->disposable = 0;
  for (;;) {
    if (c->end - at < PREFIX_BYTES + RTP_BYTES + fragment_bytes) {
      /* Whatever else begins here is Python's at once, as is a packet that is whole and too small. */
      if ((c->end > at && buffer[at] != '$') || (c->end > at + 1 && buffer[at + 1] != c->channel) ||
          (c->end - at >= PREFIX_BYTES && c->end - at - PREFIX_BYTES >= read16(buffer + at + 2))) {
        return PI_LOOK;
      }
      /* So little does not say whether it belongs to the packets in front of it, which have an arrival of their own. */
      if (c->begin < at && at < c->end) {
        return PI_LOOK;
      }
      return c->end - c->begin > PI_WAIT_BYTES ? PI_LOOK : PI_WAIT;
    }
    const uint8_t *packet = buffer + at;
    const uint32_t length = read16(packet + 2);
    const uint8_t marked = packet[5] & 0x80;
    if (packet[0] != '$' || packet[1] != c->channel || packet[4] != 0x80 || (packet[5] & 0x7F) != c->payload_type ||
        read16(packet + 6) != (uint16_t)number || read32(packet + 12) != c->ssrc ||
        length <= RTP_BYTES + fragment_bytes || (picture->packets && read32(packet + 8) != picture->stamp)) {
      return PI_LOOK;
    }
    if (c->end - at - PREFIX_BYTES < length) {
      return c->end - c->begin > PI_WAIT_BYTES ? PI_LOOK : PI_WAIT;
    }
    const uint8_t *payload = packet + PREFIX_BYTES + RTP_BYTES;
    const uint32_t bytes = length - RTP_BYTES;
    const uint8_t bits = payload[0] & mask;
    picture->stamp = read32(packet + 8);
    picture->packets++;
    number++;
    at += PREFIX_BYTES + length;
    if (bits == fragmented) {
      const uint8_t flags = payload[fragment_bytes - 1];
      const int begins = flags >> 7, last = flags >> 6 & 1;
      const uint8_t kind_bits = flags & 0x3F;
      const kind_t kind = kind_of(c, (uint8_t)(c->h265 ? kind_bits << 1 : kind_bits));
      if (picture->count == PI_PARTS || (!c->h265 && kind_bits & 0x20) || (kind != PLAIN && kind != KEY) ||
          inside != (begins ? OTHER : kind) || (begins && last) || (marked && !last)) {
        return PI_LOOK;
      }
      part_t *part = &picture->parts[picture->count++];
      *part = (part_t){
          .at = payload + fragment_bytes, .bytes = bytes - fragment_bytes, .kind = kind, .begins = (uint8_t)begins};
      if (begins) {
        part->header_bytes = (uint8_t)(fragment_bytes - 1);
        if (c->h265) {
          part->header[0] = (uint8_t)((payload[0] & 0x81) | kind_bits << 1);
          part->header[1] = payload[1];
        } else {
          part->header[0] = (uint8_t)((payload[0] & 0xE0) | kind_bits);
        }
        if (!begin_unit(c, picture, part)) {
          return PI_LOOK;
        }
      }
      picture->payload_bytes += part->bytes;
      inside = last ? OTHER : kind;
      if (last && !part->at[part->bytes - 1]) {
        return PI_LOOK;
      }
    } else if (inside != OTHER || !(bits == together ? add_aggregated(c, picture, payload, bytes)
                                                     : add_unit(c, picture, payload, bytes))) {
      return PI_LOOK;
    }
    if (marked && (!picture->slices || picture->parts[picture->count - 1].kind != picture->kind)) {
      return PI_LOOK;
    }
    if (marked) {
      if (at < c->end && buffer[at] != '$') {
        return PI_LOOK;
      }
      picture->behind = at;
      return PI_FULL;
    }
  }
}

static int has_start_code(const uint8_t *unit, uint32_t bytes) {
  for (uint32_t at = 2; at < bytes; at++) {
    if (unit[at] == 1 && !unit[at - 1] && !unit[at - 2]) {
      return 1;
    }
  }
  return 0;
}

/* Whether an H.264 SEI unit may hold a recovery point (D.1.8): then it may make a keyframe. */
static int may_recover(const uint8_t *unit, uint32_t bytes) {
  uint32_t at = 1;
  if (memchr(unit + 1, 6, bytes - 1) == NULL) {
    return 0;
  }
  for (uint32_t n = 2; n < bytes; n++) {
    if (unit[n] == 3 && !unit[n - 1] && !unit[n - 2]) {
      return 1; /* sizes count no emulation prevention bytes: Python unescapes it */
    }
  }
  while (at + 2 < bytes) {
    uint32_t kind = 0, size = 0;
    while (at < bytes && unit[at] == 0xFF) {
      kind += unit[at++];
    }
    if (at == bytes) {
      return 1;
    }
    kind += unit[at++];
    while (at < bytes && unit[at] == 0xFF) {
      size += unit[at++];
    }
    if (at == bytes || kind == 6) {
      return 1;
    }
    size += unit[at++];
    if (size > bytes - at) {
      return 1;
    }
    at += size;
  }
  return 0;
}

/* Writes its payload, NAL units behind their lengths; 0 where one is none that is usual. */
static int build(const pi_connection *c, const picture_t *picture, uint8_t *to) {
  if (picture->kind == KEY) {
    memcpy(to, c->sets, c->sets_bytes);
    to += c->sets_bytes;
  }
  for (uint32_t n = 0; n < picture->count;) {
    const kind_t kind = picture->parts[n].kind;
    if (kind == SETS) {
      n++; /* one of those that stand in front */
      continue;
    }
    uint8_t *unit = to + 4, *at = unit;
    do {
      const part_t *part = &picture->parts[n];
      memcpy(at, part->header, part->header_bytes);
      memcpy(at + part->header_bytes, part->at, part->bytes);
      at += part->header_bytes + part->bytes;
    } while (++n < picture->count && !picture->parts[n].begins);
    const uint32_t bytes = (uint32_t)(at - unit);
    write32(to, bytes);
    if (has_start_code(unit, kind != SEI && bytes > SEARCHED_BYTES ? SEARCHED_BYTES : bytes)) {
      return 0;
    }
    if (kind == SEI && picture->kind == PLAIN && !c->h265 && may_recover(unit, bytes)) {
      return 0;
    }
    to = at;
  }
  return 1;
}

/* Its times. */

typedef struct {
  int64_t pts, dts, capture_us, uncertainty_us;
  uint8_t clock;
} times_t;

static pi_lie *lie_at(pi_connection *c, uint32_t place) { return &c->lies[(c->lies_first + place) % PI_LIES]; }

static int64_t least_add(pi_connection *c, int64_t value) {
  c->least_count++;
  if (c->least_count > c->least_window) {
    c->least_count = 1;
    c->least_before = c->least_now;
    c->has_least_before = c->has_least_now;
    c->has_least_now = 0;
  }
  if (!c->has_least_now || value < c->least_now) {
    c->least_now = value;
    c->has_least_now = 1;
  }
  return !c->has_least_before || c->least_now < c->least_before ? c->least_now : c->least_before;
}

/* Stamps the picture; 0, with nothing changed, where it is not as usual. */
static int stamp(pi_connection *c, const picture_t *picture, int64_t arrival_us, int64_t wall_us, times_t *times) {
  /* RtpTime */
  const int64_t rtp_step =
      (int64_t)((uint32_t)(picture->stamp - (uint32_t)c->rtp_last + UINT32_C(0x80000000))) - INT64_C(0x80000000);
  const int64_t extended = c->rtp_last + rtp_step;
  if (!is_sane(extended) || !is_sane(arrival_us) || !is_sane(wall_us)) {
    return 0;
  }
  int64_t rtcp_us = 0;
  if (c->has_report) {
    const int64_t since = extended - c->report_at;
    if (since < -(INT64_C(1) << 40) || since > INT64_C(1) << 40) {
      return 0;
    }
    rtcp_us = c->report_us + floor_div(since * 1000000, SECOND_90K);
  }

  /* SourceClock.add */
  const int64_t delay = arrival_us - floor_div(extended * 100, 9);
  const int64_t apart = delay > c->bucket.delay ? delay - c->bucket.delay : c->bucket.delay - delay;
  const int new_bucket = arrival_us - c->bucket.at >= BUCKET_US;
  if (apart > JUMP_US + arrival_us - c->bucket.at || (new_bucket && c->full_count == PI_BUCKETS)) {
    return 0;
  }

  /* Retimer._follow */
  const int64_t arrival = floor_div(arrival_us * 9, 100);
  const int64_t gap = arrival - c->arrival_90k, step = extended - c->top;
  if (step <= 0 || step > gap + TOLERANCE || c->skew <= -MAX_AHEAD || c->waiting_count != c->reorder) {
    return 0;
  }
  int64_t interval = picture->kind == KEY && c->key_interval ? c->key_interval : c->interval;
  if (step < SECOND_90K) {
    interval += floor_div(step - interval, 8);
  }

  /* WallBound.correct */
  const int64_t at = c->arrival_90k + gap;
  const int64_t lie = at - c->top_out - step;
  if (!c->frames_count || at - c->begun_at <= SECOND_90K) {
    return 0;
  }
  uint32_t kept = c->lies_count;
  while (kept && lie_at(c, kept - 1)->lie >= lie) {
    kept--;
  }
  if (kept == PI_LIES) {
    return 0;
  }
  int64_t oldest = at - c->window;
  if (c->frames_count == PI_FRAMES) {
    oldest = least_of(oldest, c->frames[c->frames_first]);
  }
  uint32_t gone = 0;
  while (gone < kept && lie_at(c, gone)->arrival < oldest) {
    gone++;
  }
  const int64_t skew = (gone < kept ? lie_at(c, gone)->lie : lie) - c->base;
  const int64_t excess = skew - most_of(-c->slack, least_of(c->slack, skew));
  int64_t corrected = step;
  if (excess) {
    if (!is_sane(excess) || excess > INT64_C(1) << 40 || excess < -(INT64_C(1) << 40)) {
      return 0;
    }
    corrected = most_of(step + round_even(GAIN * (double)excess * (double)gap / (double)SECOND_90K),
                        most_of(floor_div(step, 2), 1));
  }
  const int64_t out = c->top_out + corrected;

  /* Retimer._decoding_time: presentation times grow, so the one that waits longest is due. */
  const int64_t due = c->waiting_count ? c->waiting[0] : out;
  const int64_t dts = most_of(due, c->last_dts + 1);
  const int64_t pts = most_of(out, dts);
  if (pts <= c->top_pts || !is_sane(pts)) {
    return 0;
  }

  /* From here on it is taken. */
  c->rtp_last = extended;
  const int64_t lag = wall_us - rtcp_us;
  if (new_bucket) {
    c->full[c->full_count++] = c->bucket;
    c->bucket = (pi_bucket){arrival_us, delay, c->has_report ? lag : 0, c->has_report};
  } else {
    if (c->has_report && (!c->bucket.has_lag || lag < c->bucket.lag)) {
      c->bucket.lag = lag;
      c->bucket.has_lag = 1;
    }
    c->bucket.delay = least_of(delay, c->bucket.delay);
  }
  c->interval = interval;
  c->lies_count = kept;
  *lie_at(c, kept) = (pi_lie){at, lie};
  c->lies_count++;
  c->lies_first = (c->lies_first + gone) % PI_LIES;
  c->lies_count -= gone;
  if (c->frames_count == PI_FRAMES) {
    c->frames[c->frames_first] = at;
    c->frames_first = (c->frames_first + 1) % PI_FRAMES;
  } else {
    c->frames[(c->frames_first + c->frames_count++) % PI_FRAMES] = at;
  }
  c->skew = skew;
  if (corrected != step) {
    for (uint32_t n = 0; n < c->lies_count; n++) {
      lie_at(c, n)->lie -= corrected - step;
    }
  }
  c->top = extended;
  c->top_out = out;
  c->arrival_90k = arrival;
  if (c->waiting_count) {
    memmove(c->waiting, c->waiting + 1, (c->waiting_count - 1) * sizeof c->waiting[0]);
    c->waiting[c->waiting_count - 1] = out;
  }
  c->last_dts = dts;
  times->pts = pts;
  times->dts = dts;

  /* CaptureClock.stamp */
  const int64_t media_us = floor_div(pts * 100, 9);
  double lies_us = (double)(arrival_us - media_us);
  const double leaked_us = c->line_us + (double)most_of(0, arrival_us - c->line_at_us) * LEAK;
  if (lies_us - leaked_us < (double)c->longest_delay_us && leaked_us < lies_us) {
    lies_us = leaked_us;
  }
  c->line_us = lies_us;
  c->line_at_us = arrival_us;
  const int64_t along_us = round_even((double)media_us + lies_us);
  int64_t capture_us = wall_us - most_of(0, arrival_us - along_us), uncertainty_us = c->latency_us;
  times->clock = 0;
  if (c->has_report) {
    const int64_t least = least_add(c, lag);
    if (-SANE_EARLY_US <= least && least <= SANE_LATE_US) {
      capture_us = rtcp_us;
      uncertainty_us = most_of(least < 0 ? -least : least, RTCP_FLOOR_US);
      times->clock = RTCP;
    }
  }
  const int64_t room_us = most_of(1, least_of(pts - c->top_pts, MOST_ROOM_90K) / ROOM_SHARE);
  const int64_t back_us = c->top_at_us + room_us - capture_us;
  if (0 < back_us && back_us < STEPPED_US) {
    capture_us = c->top_at_us + room_us;
    uncertainty_us += back_us;
  }
  c->top_pts = pts;
  c->top_at_us = capture_us;
  const pi_placed placed = {pts, capture_us};
  if (c->placed_count == PI_PLACED) {
    c->placed[c->placed_first] = placed;
    c->placed_first = (c->placed_first + 1) % PI_PLACED;
  } else {
    c->placed[(c->placed_first + c->placed_count++) % PI_PLACED] = placed;
  }
  times->capture_us = capture_us;
  times->uncertainty_us = least_of(uncertainty_us, UINT32_MAX);
  return 1;
}

/* The message. */

static void write_head(uint8_t *to, const pi_connection *c, const picture_t *picture, const times_t *times) {
  *to++ = 0x9C;
  *to++ = 0xCC;
  *to++ = 1;
  *to++ = 0xCC;
  *to++ = picture->kind == KEY ? KEYFRAME : picture->disposable ? DISPOSABLE : 0;
  *to++ = 0xCC;
  *to++ = c->h265 ? HEVC : H264;
  *to++ = 0xCE;
  write32(to, c->epoch);
  to += 4;
  *to++ = 0xCF;
  write64(to, c->sequence);
  to += 8;
  const int64_t values[] = {times->pts, times->dts, times->capture_us};
  for (int n = 0; n < 3; n++) {
    *to++ = 0xD3;
    write64(to, (uint64_t)values[n]);
    to += 8;
  }
  *to++ = 0xCE;
  write32(to, (uint32_t)times->uncertainty_us);
  to += 4;
  *to++ = 0xCC;
  *to++ = times->clock;
  *to++ = 0xC5;
  write16(to, 0);
  to += 2;
  *to++ = 0xC6;
  write32(to, picture->payload_bytes);
}

/* "PUB subject bytes\r\n"; returns its length. */
static uint32_t write_line(uint8_t *to, const pi_connection *c, uint32_t bytes) {
  char digits[12];
  uint32_t count = 0, length = 4 + c->subject_bytes + 1;
  memcpy(to, "PUB ", 4);
  memcpy(to + 4, c->subject, c->subject_bytes);
  to[4 + c->subject_bytes] = ' ';
  do {
    digits[count++] = (char)('0' + bytes % 10);
    bytes /= 10;
  } while (bytes);
  while (count) {
    to[length++] = (uint8_t)digits[--count];
  }
  memcpy(to + length, "\r\n", 2);
  return length + 2;
}

EXPORT int pi_take(pi_engine *engine, pi_connection *c, int64_t arrival_us, int64_t wall_us) {
  static picture_t picture;
  while (c->lent && c->begin < c->end) {
    const int status = scan(c, &picture);
    if (status != PI_FULL) {
      return status;
    }
    const uint32_t bytes = HEAD_BYTES + picture.payload_bytes;
    const uint32_t most = bytes + LINE_BYTES + PI_SUBJECT_BYTES;
    if (bytes > engine->max_message_bytes || most > c->store_bytes) {
      return PI_LOOK;
    }
    if (engine->lines_count == PI_LINES || c->pictures_count == c->pictures_room ||
        c->store_bytes - c->stored_bytes < most) {
      return PI_FULL;
    }
    uint8_t *line = c->store + c->stored_bytes;
    const uint32_t line_bytes = write_line(line, c, bytes);
    uint8_t *message = line + line_bytes;
    times_t times;
    if (!build(c, &picture, message + HEAD_BYTES) ||
        !stamp(c, &picture, arrival_us, wall_us, &times)) {
      return PI_LOOK;
    }
    c->sequence++;
    if (picture.kind == KEY) {
      c->epoch = c->key_epoch;
      c->keyframes++;
    }
    write_head(message, c, &picture, &times);
    memcpy(message + bytes, "\r\n", 2);
    c->pictures[c->pictures_count++] = (pi_picture){
        arrival_us, times.dts, c->stored_bytes + line_bytes, bytes, picture.payload_bytes, picture.kind == KEY,
    };
    engine->lines[engine->lines_count++] = (pi_line){line, line_bytes + bytes + 2, bytes};
    engine->pictures++;
    c->stored_bytes += line_bytes + bytes + 2;
    c->begin = picture.behind;
    c->next_number = (uint16_t)(c->next_number + picture.packets);
    c->stamp = picture.stamp;
    c->taken_packets += picture.packets;
    c->taken++;
    c->taken_us = arrival_us;
  }
  return c->begin < c->end ? PI_LOOK : PI_WAIT;
}

/* Reading. */

EXPORT int pi_watch(pi_engine *engine, pi_connection *c) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, c->fd, &event) ? errno : 0;
}

EXPORT int pi_unwatch(pi_engine *engine, pi_connection *c) {
  struct epoll_event event = {0};
  return epoll_ctl(engine->epoll, EPOLL_CTL_DEL, c->fd, &event) ? errno : 0;
}

static int64_t now_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Room for the next read behind what is left. */
static void tidy(pi_connection *c) {
  if (c->begin == c->end) {
    c->begin = c->end = 0;
  } else if (c->size - c->end < PI_LEAST_ROOM_BYTES && c->begin) {
    memmove(c->buffer, c->buffer + c->begin, c->end - c->begin);
    c->end -= c->begin;
    c->before_end = c->before_end > c->begin ? c->before_end - c->begin : 0;
    c->begin = 0;
  }
}

EXPORT void pi_heard(pi_connection *c, uint32_t bytes, int64_t arrival_us) {
  c->before_end = c->begin < c->end ? c->end : 0;
  c->before_us = c->heard_us;
  c->end += bytes;
  c->heard_us = arrival_us;
}

/* Notes that Python is to look. One packet of sound or of RTCP can wait for others' pictures, but not with more behind
   it. */
static void note_look(pi_engine *engine, const pi_connection *c) {
  uint32_t place = 0;
  while (place < engine->looks && engine->look[place] != c->number) {
    place++;
  }
  const uint8_t *packet = c->buffer + c->begin;
  const int is_beside = c->end - c->begin > PREFIX_BYTES && packet[0] == '$' && packet[1] != c->channel &&
                        read16(packet + 2) == c->end - c->begin - PREFIX_BYTES;
  if (place < engine->looks || !is_beside || place == PI_TURN_READS - 1) {
    engine->urgent = 1;
  }
  if (place == engine->looks) {
    engine->look[engine->looks++] = c->number;
  }
}

/* Reads each connection that has something, once; returns how many. */
static int read_ready(pi_engine *engine) {
  struct epoll_event events[PI_TURN_READS];
  const int ready = epoll_wait(engine->epoll, events, (int)(PI_TURN_READS - engine->looks), 0);
  for (int n = 0; n < ready; n++) {
    pi_connection *c = events[n].data.ptr;
    if (c->size - c->end > 0) {
      const ssize_t got = recv(c->fd, c->buffer + c->end, c->size - c->end, MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        continue;
      }
      if (got <= 0) {
        engine->end[engine->ended++] = c->number;
        continue;
      }
      pi_heard(c, (uint32_t)got, now_us(CLOCK_MONOTONIC));
    }
    const int status = pi_take(engine, c, c->heard_us, now_us(CLOCK_REALTIME));
    tidy(c);
    if (status != PI_WAIT) {
      note_look(engine, c);
    }
  }
  return ready;
}

/* Writes what is due to NATS, or drops it where nothing may be published any more; whether nothing is left. */
static int publish(pi_engine *engine) {
  struct iovec lines[PI_LINES];
  const uint32_t count = engine->lines_count;
  if (!count) {
    return 1;
  }
  if (now_us(CLOCK_MONOTONIC) >= engine->held_until_us) {
    engine->dropped += count;
    engine->lines_count = 0;
    return 1;
  }
  if (engine->bus < 0) {
    return 0;
  }
  for (uint32_t n = 0; n < count; n++) {
    lines[n] = (struct iovec){.iov_base = engine->lines[n].at, .iov_len = engine->lines[n].bytes};
  }
  const struct msghdr message = {.msg_iov = lines, .msg_iovlen = count};
  const ssize_t sent = sendmsg(engine->bus, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  size_t went = sent > 0 ? (size_t)sent : 0;
  uint32_t whole = 0;
  while (whole < count && went >= engine->lines[whole].bytes) {
    went -= engine->lines[whole].bytes;
    engine->sent_bytes += engine->lines[whole++].message_bytes;
  }
  memmove(engine->lines, engine->lines + whole, (count - whole) * sizeof engine->lines[0]);
  engine->sent += whole;
  engine->lines_count = count - whole;
  engine->begun_bytes = (uint32_t)went;
  return whole == count;
}

static struct timespec span_of(int64_t us) {
  return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

typedef enum { NOTHING, CAMERAS, OTHERS } woken_t;

/* What the event loop has to do within so many milliseconds; a look there takes nothing from it. */
static woken_t wait_for(const pi_engine *engine, int ms) {
  struct epoll_event events[2];
  const int count = epoll_wait(engine->loop, events, 2, ms);
  if (count == 1 && events[0].data.fd == engine->epoll) { /* as libuv notes them */
    return CAMERAS;
  }
  return count ? OTHERS : NOTHING;
}

EXPORT int pi_turn(pi_engine *engine) {
  const int64_t until = now_us(CLOCK_MONOTONIC) + (engine->loop < 0 ? 0 : engine->stay_us);
  int reads = 0;
  engine->sent = engine->lines_count = engine->begun_bytes = engine->looks = engine->ended = 0;
  engine->dropped = 0;
  engine->sent_bytes = engine->urgent = engine->others = 0;
  for (;;) {
    const uint32_t done = engine->sent + engine->dropped;
    const int ready = read_ready(engine);
    if (ready > 0) {
      reads += ready;
      if (!publish(engine) || engine->urgent || engine->ended) {
        break;
      }
      if (engine->sent + engine->dropped > done) {
        const struct timespec rest = span_of(engine->rest_us);
        nanosleep(&rest, NULL);
      }
    }
    const int64_t left = until - now_us(CLOCK_MONOTONIC);
    const woken_t woken = left > 0 ? wait_for(engine, (int)((left + 999) / 1000)) : NOTHING;
    engine->others = woken == OTHERS;
    if (woken != CAMERAS) {
      break;
    }
  }
  return reads;
}

/* What Python has to find true. */

EXPORT int pi_facts(uint32_t *facts, int room) {
#define AT(type, field) (uint32_t) offsetof(type, field)
  const uint32_t all[] = {
      sizeof(pi_picture), AT(pi_picture, arrival_us), AT(pi_picture, dts_90k), AT(pi_picture, at),
      AT(pi_picture, bytes), AT(pi_picture, payload_bytes), AT(pi_picture, keyframe),
      sizeof(pi_line), AT(pi_line, at), AT(pi_line, bytes), AT(pi_line, message_bytes),
      sizeof(pi_lie), AT(pi_lie, arrival), AT(pi_lie, lie),
      sizeof(pi_placed), AT(pi_placed, pts), AT(pi_placed, at_us),
      sizeof(pi_bucket), AT(pi_bucket, at), AT(pi_bucket, delay), AT(pi_bucket, lag), AT(pi_bucket, has_lag),
      sizeof(pi_connection), AT(pi_connection, buffer), AT(pi_connection, size), AT(pi_connection, begin),
      AT(pi_connection, end), AT(pi_connection, fd), AT(pi_connection, number), AT(pi_connection, heard_us),
      AT(pi_connection, before_us), AT(pi_connection, before_end), AT(pi_connection, store),
      AT(pi_connection, pictures), AT(pi_connection, store_bytes), AT(pi_connection, stored_bytes),
      AT(pi_connection, pictures_room), AT(pi_connection, pictures_count),
      AT(pi_connection, lent), AT(pi_connection, channel), AT(pi_connection, payload_type), AT(pi_connection, h265),
      AT(pi_connection, next_number), AT(pi_connection, ssrc), AT(pi_connection, stamp),
      AT(pi_connection, taken_packets), AT(pi_connection, taken), AT(pi_connection, keyframes),
      AT(pi_connection, taken_us), AT(pi_connection, has_report),
      AT(pi_connection, rtp_last), AT(pi_connection, report_at),
      AT(pi_connection, report_us), AT(pi_connection, bucket), AT(pi_connection, full),
      AT(pi_connection, full_count), AT(pi_connection, top),
      AT(pi_connection, top_out), AT(pi_connection, interval), AT(pi_connection, key_interval),
      AT(pi_connection, arrival_90k),
      AT(pi_connection, last_dts), AT(pi_connection, waiting), AT(pi_connection, waiting_count),
      AT(pi_connection, reorder), AT(pi_connection, window), AT(pi_connection, slack),
      AT(pi_connection, begun_at), AT(pi_connection, base), AT(pi_connection, skew), AT(pi_connection, lies_first),
      AT(pi_connection, lies_count), AT(pi_connection, frames_first), AT(pi_connection, frames_count),
      AT(pi_connection, lies), AT(pi_connection, frames), AT(pi_connection, has_least_now),
      AT(pi_connection, has_least_before), AT(pi_connection, line_us), AT(pi_connection, line_at_us),
      AT(pi_connection, latency_us), AT(pi_connection, longest_delay_us), AT(pi_connection, least_window),
      AT(pi_connection, least_count), AT(pi_connection, least_now), AT(pi_connection, least_before),
      AT(pi_connection, top_pts), AT(pi_connection, top_at_us), AT(pi_connection, placed_first),
      AT(pi_connection, placed_count), AT(pi_connection, placed), AT(pi_connection, sequence),
      AT(pi_connection, epoch), AT(pi_connection, key_epoch), AT(pi_connection, subject_bytes),
      AT(pi_connection, sets_bytes), AT(pi_connection, subject), AT(pi_connection, sets),
      sizeof(pi_engine), AT(pi_engine, epoll), AT(pi_engine, loop), AT(pi_engine, bus),
      AT(pi_engine, held_until_us), AT(pi_engine, stay_us), AT(pi_engine, rest_us),
      AT(pi_engine, max_message_bytes), AT(pi_engine, pictures), AT(pi_engine, sent), AT(pi_engine, lines_count),
      AT(pi_engine, begun_bytes), AT(pi_engine, sent_bytes), AT(pi_engine, dropped), AT(pi_engine, lines),
      AT(pi_engine, looks), AT(pi_engine, ended), AT(pi_engine, urgent), AT(pi_engine, others), AT(pi_engine, look),
      AT(pi_engine, end),
  };
  const int count = (int)(sizeof all / sizeof all[0]);
  for (int n = 0; n < count && n < room; n++) {
    facts[n] = all[n];
  }
  return count;
}
