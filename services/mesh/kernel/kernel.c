/* The media kernel: takes usual pictures out of what NATS has sent, and their headers apart.

   What it does is specified by the Python beside it, which does the same where this was not built: MediaSplitter in
   services/mesh/media_transport.py (the protocol) and PictureInbox in services/contracts/frames.py (the message). What
   is not usual is left to Python, with all state as it was. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel.h"

#define EXPORT __attribute__((visibility("default")))

enum {
  HEAD_BYTES = 58 + 5, /* frames._HEAD and _PAYLOAD_HEAD */
  ARRAY12 = 0x9C,
  BIN32 = 0xC6,
  VERSION = 1,
  KEYFRAME = 1,
  DISCONTINUITY = 2,
  LAST_PICTURE_CODEC = 3, /* H264, HEVC, MJPEG */
  LAST_CLOCK = 1,         /* ARRIVAL, RTCP */
  DIGITS = 9              /* of a number that is read, at most */
};

static uint32_t read32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t read64(const uint8_t *at) { return (uint64_t)read32(at) << 32 | read32(at + 4); }

EXPORT int mk_put(mk_inbox *inbox, const uint8_t *message, uint32_t bytes) {
  if (bytes < HEAD_BYTES || message[0] != ARRAY12 || message[2] != VERSION ||
      (message[4] & (KEYFRAME | DISCONTINUITY)) || !message[6] || message[6] > LAST_PICTURE_CODEC ||
      message[54] > LAST_CLOCK || message[56] || message[57] || message[58] != BIN32 ||
      read32(message + 59) != bytes - HEAD_BYTES) {
    return 0;
  }
  const uint32_t at = inbox->count, size = bytes - HEAD_BYTES, epoch = read32(message + 8);
  const uint64_t sequence = read64(message + 13);
  if (at == MK_PICTURES || size > inbox->payloads_room - inbox->payloads_bytes) {
    return 0;
  }
  if (!at) {
    inbox->codec = message[6];
    inbox->epoch = epoch;
    inbox->first = sequence;
  } else if (inbox->codec != message[6] || inbox->epoch != epoch || sequence < inbox->first ||
             sequence - inbox->first != at) {
    return 0;
  }
  inbox->flags[at] = message[4];
  inbox->pts_90k[at] = (int64_t)read64(message + 22);
  inbox->dts_90k[at] = (int64_t)read64(message + 31);
  inbox->capture_us[at] = (int64_t)read64(message + 40);
  inbox->uncertainty_us[at] = read32(message + 49);
  inbox->clocks[at] = message[54];
  inbox->sizes[at] = size;
  memcpy(inbox->payloads + inbox->payloads_bytes, message + HEAD_BYTES, size);
  inbox->payloads_bytes += size;
  inbox->count++;
  return 1;
}

/* Reads digits up to the byte `behind`; returns where that stands, or null where something else comes first. */
static const uint8_t *read_number(const uint8_t *at, const uint8_t *end, uint8_t behind, uint32_t *number) {
  const uint8_t *begin = at;
  *number = 0;
  while (at < end && *at >= '0' && *at <= '9' && at - begin < DIGITS) {
    *number = *number * 10 + (uint32_t)(*at++ - '0');
  }
  return at == begin || at == end || *at != behind ? NULL : at;
}

EXPORT int mk_split(mk_stream *stream) {
  const uint8_t *at = stream->buffer + stream->begin, *end = stream->buffer + stream->end;
  int taken = 0;
  /* MSG <subject> <subscription id> <bytes>\r\n<payload>\r\n */
  while (end - at > 4 && memcmp(at, "MSG ", 4) == 0) {
    uint32_t id, bytes;
    const uint8_t *line = at + 4;
    while (line < end && *line > ' ') {
      line++;
    }
    if (line == at + 4 || line == end || *line != ' ' || !(line = read_number(line + 1, end, ' ', &id)) ||
        !(line = read_number(line + 1, end, '\r', &bytes)) || end - line < 2 || line[1] != '\n' ||
        id >= stream->inboxes_count || !stream->inboxes[id] || (uint64_t)(end - line - 2) < (uint64_t)bytes + 2 ||
        !mk_put(stream->inboxes[id], line + 2, bytes)) {
      break;
    }
    at = line + 2 + bytes + 2;
    taken++;
  }
  stream->begin = (uint32_t)(at - stream->buffer);
  return taken;
}

EXPORT int mk_facts(uint32_t *facts, int room) {
#define AT(type, field) (uint32_t) offsetof(type, field)
  const uint32_t all[] = {
      sizeof(mk_inbox), AT(mk_inbox, payloads), AT(mk_inbox, payloads_room), AT(mk_inbox, payloads_bytes),
      AT(mk_inbox, count), AT(mk_inbox, epoch), AT(mk_inbox, first), AT(mk_inbox, pts_90k), AT(mk_inbox, dts_90k),
      AT(mk_inbox, capture_us), AT(mk_inbox, sizes), AT(mk_inbox, uncertainty_us), AT(mk_inbox, flags),
      AT(mk_inbox, clocks), AT(mk_inbox, codec),
      sizeof(mk_stream), AT(mk_stream, buffer), AT(mk_stream, begin), AT(mk_stream, end), AT(mk_stream, inboxes),
      AT(mk_stream, inboxes_count),
  };
  const int count = (int)(sizeof all / sizeof all[0]);
  for (int n = 0; n < count && n < room; n++) {
    facts[n] = all[n];
  }
  return count;
}
