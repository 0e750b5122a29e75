/* The relay's send kernel: from an access unit to the packets of all its viewers.

   What it does is specified by the Python beside it, which does the same where this was not built: services/media/
   packetize.py and engine/template.py (pk_lay_out), sending/timeline.py, pacer.py, history.py (pk_send), engine/srtp.py
   and send_batch.py (pk_put), contracts/frames.py and sources/gop.py (pk_take). One thread alone may call it: libsrtp's contexts have no locks. */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kernel.h"

#define EXPORT __attribute__((visibility("default")))
#define HEADER_BYTES 12
#define SOL_UDP_LEVEL 17
#define UDP_SEGMENT_OPTION 103 /* udp(7) */

/* Laying out. */

enum { STAP_A = 24, FU_A = 28, AP = 48, FU = 49 };

typedef struct {
  const uint8_t *unit;
  uint32_t bytes;
  uint32_t room, tag;
  int h265;
  uint8_t *image; /* null: only sizes are wanted */
  pk_run *run;
  uint32_t size, runs, cost;
  pk_run open;      /* the run that packets are added to */
  uint32_t payload; /* of its first packet */
  int closed;       /* its last packet is shorter */
  /* NAL units that wait to share a packet */
  uint32_t group_at, group_units, group_bytes;
  uint8_t forbidden, importance, layer, temporal;
} layer_t;

static uint32_t read32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value) {
  write16(at, value >> 16);
  write16(at + 2, value);
}

static void end_run(layer_t *l) {
  pk_run *run = &l->open;
  if (run->count == 0) {
    return;
  }
  uint32_t least = run->count * (uint32_t)PK_PACKET_COST_BYTES;
  run->cost = run->bytes > least ? run->bytes : least;
  l->cost += run->cost;
  if (l->image != NULL) {
    for (int n = 0; n < run->count; n++) {
      int length = n == run->count - 1 ? run->last : run->plain;
      memcpy(l->image + run->at - PK_PACKETS_AT + (size_t)n * sizeof length, &length, sizeof length);
    }
    l->run[l->runs] = *run;
  }
  l->runs++;
  run->count = 0;
}

/* Room for one more packet; where its payload stands, or null. */
static uint8_t *add_packet(layer_t *l, uint32_t payload) {
  pk_run *run = &l->open;
  uint32_t plain = l->room + payload;
  if (run->count == 0 || run->count == PK_RUN_PACKETS || l->closed || payload > l->payload) {
    end_run(l);
    l->size += PK_PACKETS_AT;
    run->at = l->size;
    run->bytes = 0;
    run->plain = (uint16_t)plain;
    run->stride = (uint16_t)(plain + l->tag);
    l->payload = payload;
    l->closed = 0;
  }
  l->closed = payload < l->payload;
  run->count++;
  run->last = (uint16_t)plain;
  run->bytes += plain + l->tag;
  uint8_t *begin = l->image != NULL ? l->image + l->size + l->room : NULL;
  l->size += plain + l->tag;
  return begin;
}

static int is_dropped(const layer_t *l, uint32_t begin, uint32_t size) {
  if (l->h265) {
    int kind = l->unit[begin] >> 1 & 0x3F;
    return size < 3 || kind == 35 || kind == 38;
  }
  int kind = l->unit[begin] & 0x1F;
  return size == 0 || kind == 9 || kind == 12;
}

static void begin_group(layer_t *l) {
  l->group_units = 0;
  l->group_bytes = l->h265 ? 2 : 1;
  l->forbidden = l->importance = 0;
  l->layer = l->temporal = 0xFF;
}

static void add_to_group(layer_t *l, uint32_t begin, uint32_t size) {
  const uint8_t *unit = l->unit + begin;
  if (l->group_units++ == 0) {
    l->group_at = begin - 4;
  }
  l->group_bytes += 2 + size;
  l->forbidden |= unit[0] & 0x80;
  if (l->h265) { /* RFC 7798, 4.4.2: the lowest LayerId and TID */
    uint8_t layer = (uint8_t)((unit[0] & 1) << 5 | unit[1] >> 3), temporal = unit[1] & 7;
    l->layer = layer < l->layer ? layer : l->layer;
    l->temporal = temporal < l->temporal ? temporal : l->temporal;
  } else { /* RFC 6184, 5.7.1: the largest NRI */
    uint8_t importance = unit[0] & 0x60;
    l->importance = importance > l->importance ? importance : l->importance;
  }
}

static void put_group(layer_t *l) {
  uint32_t units = l->group_units, at = l->group_at;
  if (units == 1) {
    uint32_t size = read32(l->unit + at);
    uint8_t *to = add_packet(l, size);
    if (to != NULL) {
      memcpy(to, l->unit + at + 4, size);
    }
  } else if (units > 1) {
    uint8_t *to = add_packet(l, l->group_bytes);
    if (to != NULL) {
      if (l->h265) {
        *to++ = (uint8_t)(l->forbidden | AP << 1 | l->layer >> 5);
        *to++ = (uint8_t)((l->layer << 3 & 0xF8) | l->temporal);
      } else {
        *to++ = (uint8_t)(l->forbidden | l->importance | STAP_A);
      }
      while (units > 0) {
        uint32_t size = read32(l->unit + at), begin = at + 4;
        at = begin + size;
        if (size == 0 || is_dropped(l, begin, size)) {
          continue;
        }
        write16(to, size);
        memcpy(to + 2, l->unit + begin, size);
        to += 2 + size;
        units--;
      }
    }
  }
  begin_group(l);
}

/* One NAL unit's fragments: all of the largest size but the last. */
static void put_fragments(layer_t *l, uint32_t begin, uint32_t size) {
  const uint8_t *unit = l->unit + begin;
  uint32_t head = l->h265 ? 2 : 1, step = PK_PAYLOAD_BYTES - head - 1;
  uint8_t indicator[2] = {(uint8_t)((unit[0] & 0xE0) | FU_A), 0};
  uint8_t kind = unit[0] & 0x1F;
  if (l->h265) {
    indicator[0] = (uint8_t)((unit[0] & 0x81) | FU << 1);
    indicator[1] = unit[1];
    kind = unit[0] >> 1 & 0x3F;
  }
  for (uint32_t at = head; at < size; at += step) {
    uint32_t part = size - at < step ? size - at : step;
    uint8_t *to = add_packet(l, head + 1 + part);
    if (to != NULL) {
      memcpy(to, indicator, head);
      to[head] = (uint8_t)((at == head ? 0x80 : 0) | (at + part == size ? 0x40 : 0) | kind);
      memcpy(to + head + 1, unit + at, part);
    }
  }
}

/* 0, or -1 where a NAL unit's length leads outside of the access unit. */
static int lay_out(layer_t *l) {
  begin_group(l);
  for (uint32_t at = 0; at < l->bytes;) {
    if (l->bytes - at < 4) {
      return -1;
    }
    uint32_t size = read32(l->unit + at), begin = at + 4;
    if (size > l->bytes - begin) {
      return -1;
    }
    at = begin + size;
    if (size == 0 || is_dropped(l, begin, size)) {
      continue;
    }
    if (l->group_units > 0 && l->group_bytes + 2 + size > PK_PAYLOAD_BYTES) {
      put_group(l);
    }
    if (size <= PK_PAYLOAD_BYTES) {
      add_to_group(l, begin, size);
    } else {
      put_fragments(l, begin, size);
    }
  }
  put_group(l);
  end_run(l);
  return 0;
}

EXPORT int64_t pk_measure(int h265, const uint8_t *unit, uint32_t bytes, uint32_t room, uint32_t tag) {
  layer_t l = {.unit = unit, .bytes = bytes, .room = room, .tag = tag, .h265 = h265};
  if (bytes > PK_UNIT_BYTES || lay_out(&l) != 0) {
    return -1;
  }
  return (int64_t)(sizeof(pk_frame) + l.runs * sizeof(pk_run) + l.size);
}

EXPORT void pk_lay_out(int h265, const uint8_t *unit, uint32_t bytes, uint32_t room, uint32_t tag, uint32_t serial,
                       pk_frame *frame) {
  layer_t l = {.unit = unit, .bytes = bytes, .room = room, .tag = tag, .h265 = h265};
  (void)lay_out(&l); /* how many runs there are */
  frame->run = (pk_run *)(frame + 1);
  frame->image = (uint8_t *)(frame->run + l.runs);
  l = (layer_t){.unit = unit, .bytes = bytes, .room = room, .tag = tag, .h265 = h265};
  l.image = frame->image;
  l.run = frame->run;
  (void)lay_out(&l);
  frame->image_bytes = l.size;
  frame->runs = l.runs;
  frame->cost = l.cost;
  frame->serial = serial;
  frame->room = (uint8_t)room;
  frame->tag = (uint8_t)tag;
}

/* Sending. */

typedef struct {
  struct mmsghdr message[PK_BATCH_RUNS];
  struct iovec vector[PK_BATCH_RUNS];
  union {
    struct cmsghdr header; /* for its alignment */
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  } control[PK_BATCH_RUNS];
  uint8_t to[PK_BATCH_RUNS][sizeof(struct sockaddr_in6)];
  uint16_t stride[PK_BATCH_RUNS];
  uint8_t run[PK_BATCH_RUNS][PK_RUN_BYTES];
} batch_t;

EXPORT uint32_t pk_batch_bytes(void) { return sizeof(batch_t); }

/* A waiting run's packets, each by a call of its own. */
static void send_apart(pk_out *out, uint32_t number) {
  const batch_t *batch = out->batch;
  const struct msghdr *message = &batch->message[number].msg_hdr;
  const uint8_t *packet = batch->run[number];
  size_t left = batch->vector[number].iov_len, stride = batch->stride[number];
  while (left > 0) {
    size_t size = left < stride ? left : stride;
    if (sendto(out->fd, packet, size, MSG_DONTWAIT, message->msg_name, message->msg_namelen) < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        out->full++;
      } else {
        out->failed++;
      }
    }
    packet += size;
    left -= size;
  }
}

EXPORT void pk_flush(pk_out *out) {
  batch_t *batch = out->batch;
  uint32_t at = 0, end = out->waiting;
  out->waiting = 0;
  while (at < end) {
    int sent = sendmmsg(out->fd, batch->message + at, end - at, MSG_DONTWAIT);
    if (sent > 0) {
      at += (uint32_t)sent;
      continue;
    }
    if (errno == EAGAIN || errno == EINTR) { /* the buffer is full: for the rest, too */
      out->full += end - at;
      return;
    }
    if (errno == EIO || errno == EINVAL || errno == EMSGSIZE || errno == EOPNOTSUPP) {
      if (errno == EIO) { /* udp(7): the device cannot segment after all */
        out->offload = 0;
      }
      send_apart(out, at);
    } else { /* this destination's trouble */
      out->failed++;
    }
    at++;
  }
}

static void queue_run(pk_out *out, const pk_peer *peer, const pk_run *run) {
  batch_t *batch = out->batch;
  uint32_t number = out->waiting;
  struct msghdr *message = &batch->message[number].msg_hdr;
  memset(message, 0, sizeof *message);
  memcpy(batch->to[number], peer->to, peer->to_bytes); /* the peer may be gone before the run is */
  message->msg_name = batch->to[number];
  message->msg_namelen = peer->to_bytes;
  batch->vector[number].iov_base = batch->run[number];
  batch->vector[number].iov_len = run->bytes;
  batch->stride[number] = run->stride;
  message->msg_iov = &batch->vector[number];
  message->msg_iovlen = 1;
  if (!out->offload) {
    send_apart(out, number);
    return;
  }
  if (run->count > 1) {
    message->msg_control = &batch->control[number];
    message->msg_controllen = sizeof batch->control[number].bytes;
    struct cmsghdr *header = &batch->control[number].header;
    header->cmsg_level = SOL_UDP_LEVEL;
    header->cmsg_type = UDP_SEGMENT_OPTION;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    memcpy(CMSG_DATA(header), &run->stride, sizeof(uint16_t));
  }
  out->waiting = number + 1;
}

static void remember(pk_stream *s, const pk_frame *frame, uint32_t number, double now, uint32_t stamp, uint32_t sent24,
                     int keyframe) {
  pk_past *past = &s->past[s->past_count++ & s->past_mask];
  past->first = s->sequence;
  past->at = now;
  past->stamp = stamp;
  past->serial = frame->serial;
  past->sent24 = sent24;
  past->run = (uint16_t)number;
  past->count = (uint8_t)frame->run[number].count;
  past->payload_type = s->payload_type;
  past->keyframe = (uint8_t)keyframe;
}

EXPORT int pk_put(pk_out *out, const pk_frame *frame, int number, pk_stream *s, double now, uint32_t stamp,
                  uint32_t sent24, int keyframe) {
  pk_peer *peer = s->peer;
  const pk_run *run = &frame->run[number];
  uint32_t extension = s->ext_bytes[keyframe], abs_at = s->abs_at[keyframe];
  if (peer->srtp == NULL || frame->room != HEADER_BYTES + extension) {
    return PK_SLOW;
  }
  if (out->waiting == PK_BATCH_RUNS) {
    pk_flush(out);
  }
  uint8_t *packet = ((batch_t *)out->batch)->run[out->waiting];
  const uint8_t *image = frame->image + run->at;
  remember(s, frame, (uint32_t)number, now, stamp, sent24, keyframe);
  uint8_t head[HEADER_BYTES + sizeof s->ext[0]];
  head[0] = extension ? 0x90 : 0x80;
  head[1] = s->payload_type;
  write32(head + 4, stamp);
  write32(head + 8, s->ssrc);
  memcpy(head + HEADER_BYTES, s->ext[keyframe], sizeof s->ext[0]);
  if (abs_at != 0) {
    head[HEADER_BYTES + abs_at] = (uint8_t)(sent24 >> 16);
    write16(head + HEADER_BYTES + abs_at + 1, sent24);
  }
  int ends_frame = (uint32_t)number + 1 == frame->runs;
  for (int n = 0; n < run->count; n++, packet += run->stride, image += run->stride) {
    int last = n == run->count - 1, plain = last ? run->last : run->plain, length = plain;
    if (last && ends_frame) {
      head[1] |= 0x80;
    }
    /* A number is used up before its packet is protected: under GCM it must never be protected twice. */
    write16(head + 2, (uint32_t)s->sequence++ & 0xFFFF);
    memcpy(packet, head, frame->room);
    memcpy(packet + frame->room, image + frame->room, (size_t)(plain - frame->room));
    if (out->protect(peer->srtp, packet, &length) != 0 || length != plain + frame->tag) {
      peer->srtp = NULL;
      return PK_DEAD;
    }
  }
  s->packets += run->count;
  s->octets += run->bytes;
  peer->sent_bytes += run->bytes;
  queue_run(out, peer, run);
  return PK_SENT;
}

/* Whether a frame of so many runs can be remembered without forgetting what may be asked for. */
static int has_room(const pk_stream *s, uint32_t runs, double now) {
  uint64_t size = (uint64_t)s->past_mask + 1, end = s->past_count + runs;
  if (runs > size) {
    return 0;
  }
  return end <= size || size >= PK_PAST_RUNS || s->past[(end - 1) & s->past_mask].at < now - PK_KEEP_SECONDS;
}

static int send_one(pk_out *out, const pk_frame *frame, pk_stream *s, double now, int64_t dts, int64_t shift,
                    uint32_t sent24, int keyframe) {
  pk_peer *peer = s->peer;
  if (peer->srtp == NULL || peer->waiting != 0 || !s->has_offset || !s->started || s->payload_type == 0 ||
      !has_room(s, frame->runs, now)) {
    return PK_SLOW;
  }
  double tokens = peer->tokens + (now - peer->at) * peer->rate_bytes;
  if (tokens > peer->burst_bytes) {
    tokens = peer->burst_bytes;
  }
  int64_t decode = dts + s->offset;
  uint32_t last = frame->runs ? frame->run[frame->runs - 1].cost : 0;
  if (tokens <= (double)frame->cost - last || decode <= s->decode || decode - s->decode > (int64_t)1 << PK_JUMP_BITS ||
      frame->room != HEADER_BYTES + s->ext_bytes[keyframe]) {
    return PK_SLOW;
  }
  peer->tokens = tokens - frame->cost;
  peer->at = now;
  s->decode = decode;
  int64_t stamp = decode + shift;
  if (stamp > s->last) {
    s->last = stamp;
    s->last_at = now;
  }
  for (uint32_t number = 0; number < frame->runs; number++) {
    int status = pk_put(out, frame, (int)number, s, now, (uint32_t)stamp, sent24, keyframe);
    if (status != PK_SENT) {
      return PK_DEAD;
    }
  }
  s->frames++;
  s->sent_at = now;
  return now >= s->look_at ? PK_LOOK : PK_SENT;
}

EXPORT int pk_send(pk_out *out, const pk_frame *frame, pk_stream **streams, int n, double now, int64_t dts,
                   int64_t shift, uint32_t sent24, int keyframe, uint16_t *left) {
  int others = 0;
  for (int at = 0; at < n; at++) {
    pk_stream *s = streams[at];
    s->status = (uint8_t)send_one(out, frame, s, now, dts, shift, sent24, keyframe);
    if (s->status != PK_SENT) {
      left[others++] = (uint16_t)at;
    }
  }
  pk_flush(out);
  return others;
}

/* Taking. */

#define MESSAGE_HEAD_BYTES 63
#define TAKEN_SERIALS 0x80000000u

static uint64_t read64(const uint8_t *at) { return (uint64_t)read32(at) << 32 | read32(at + 4); }

static int is_time(int64_t time) { return time > -((int64_t)1 << PK_TIME_BITS) && time < (int64_t)1 << PK_TIME_BITS; }

static int same_shape(const pk_call *a, const pk_call *b) { return a->room == b->room && a->tag == b->tag; }

EXPORT int pk_take(pk_feed *f, const uint8_t *m, uint32_t bytes, double now) {
  /* services/contracts/frames.py, without extradata; keyframe, discontinuity and damaged are Python's. */
  if (!f->lent || bytes < MESSAGE_HEAD_BYTES || m[0] != 0x9C || m[2] != 1 || (m[4] & 11) != 0 || m[6] != f->codec ||
      read32(m + 8) != f->epoch || read64(m + 13) != f->sequence + 1 || m[54] > 1 || m[56] != 0 || m[57] != 0 ||
      m[58] != 0xC6 || read32(m + 59) != bytes - MESSAGE_HEAD_BYTES) {
    return PK_NOT_TAKEN;
  }
  int64_t pts = (int64_t)read64(m + 22), dts = (int64_t)read64(m + 31);
  const uint8_t *unit = m + MESSAGE_HEAD_BYTES;
  uint32_t size = bytes - MESSAGE_HEAD_BYTES;
  if (!is_time(pts) || !is_time(dts) || size + (uint64_t)PK_FRAME_BYTES > f->room_bytes) {
    return PK_NOT_TAKEN;
  }
  for (uint32_t n = 0; n < f->calls_count; n++) {
    const pk_call *call = &f->calls[n];
    if (n > 0 && same_shape(call, call - 1)) {
      continue;
    }
    int64_t needed = pk_measure(f->h265, unit, size, call->room, call->tag);
    if (needed < 0 || needed > PK_WORK_BYTES) {
      return PK_NOT_TAKEN;
    }
  }
  pk_frame *frame = (pk_frame *)f->work;
  uint32_t serial = TAKEN_SERIALS | (*f->serials)++, sent24 = (uint32_t)(int64_t)(now * 262144) & 0xFFFFFF, others = 0;
  for (uint32_t n = 0; n < f->calls_count; n++) {
    pk_call *call = &f->calls[n];
    if (n == 0 || !same_shape(call, call - 1)) {
      pk_lay_out(f->h265, unit, size, call->room, call->tag, serial, frame);
    }
    call->others = (uint32_t)pk_send(call->out, frame, call->streams, (int)call->n, now, dts, pts - dts, sent24, 0,
                                     call->left);
    others += call->others;
  }
  f->sequence++;
  f->room_bytes -= size + (uint64_t)PK_FRAME_BYTES;
  return others ? PK_TAKEN_LOOK : PK_TAKEN;
}

/* What Python compares when it loads this. */

#define SIZE(type) sizeof(type)
#define AT(type, field) offsetof(type, field)

EXPORT int pk_facts(uint32_t *facts, int room) {
  const size_t all[] = {
      SIZE(pk_run), AT(pk_run, at), AT(pk_run, bytes), AT(pk_run, cost), AT(pk_run, count), AT(pk_run, stride),
      AT(pk_run, plain), AT(pk_run, last),
      SIZE(pk_frame), AT(pk_frame, image), AT(pk_frame, run), AT(pk_frame, image_bytes), AT(pk_frame, serial),
      AT(pk_frame, runs), AT(pk_frame, cost), AT(pk_frame, room), AT(pk_frame, tag),
      SIZE(pk_peer), AT(pk_peer, srtp), AT(pk_peer, tokens), AT(pk_peer, at), AT(pk_peer, rate_bytes),
      AT(pk_peer, burst_bytes), AT(pk_peer, sent_bytes), AT(pk_peer, waiting), AT(pk_peer, to_bytes), AT(pk_peer, to),
      SIZE(pk_past), AT(pk_past, first), AT(pk_past, at), AT(pk_past, stamp), AT(pk_past, serial), AT(pk_past, sent24),
      AT(pk_past, run), AT(pk_past, count), AT(pk_past, payload_type), AT(pk_past, keyframe),
      SIZE(pk_stream), AT(pk_stream, peer), AT(pk_stream, past), AT(pk_stream, past_count), AT(pk_stream, sequence),
      AT(pk_stream, packets), AT(pk_stream, octets), AT(pk_stream, frames), AT(pk_stream, offset),
      AT(pk_stream, decode), AT(pk_stream, last), AT(pk_stream, last_at), AT(pk_stream, sent_at),
      AT(pk_stream, look_at), AT(pk_stream, past_mask), AT(pk_stream, ssrc), AT(pk_stream, has_offset),
      AT(pk_stream, started), AT(pk_stream, status), AT(pk_stream, payload_type), AT(pk_stream, abs_at),
      AT(pk_stream, ext_bytes), AT(pk_stream, ext),
      SIZE(pk_out), AT(pk_out, protect), AT(pk_out, batch), AT(pk_out, fd), AT(pk_out, offload), AT(pk_out, waiting),
      AT(pk_out, full), AT(pk_out, failed),
      SIZE(pk_call), AT(pk_call, out), AT(pk_call, streams), AT(pk_call, n), AT(pk_call, others), AT(pk_call, room),
      AT(pk_call, tag), AT(pk_call, left),
      SIZE(pk_feed), AT(pk_feed, calls), AT(pk_feed, work), AT(pk_feed, serials), AT(pk_feed, calls_count),
      AT(pk_feed, lent), AT(pk_feed, codec), AT(pk_feed, h265), AT(pk_feed, epoch), AT(pk_feed, sequence),
      AT(pk_feed, room_bytes),
  };
  int count = (int)(sizeof all / sizeof all[0]);
  for (int n = 0; n < count && n < room; n++) {
    facts[n] = (uint32_t)all[n];
  }
  return count;
}
