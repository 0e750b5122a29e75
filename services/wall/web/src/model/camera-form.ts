/** The camera form: a camera as text fields, their validation, and the fields as a request. */

import type { CameraInput, CameraPatch, CameraView, PrivacyMask, ProbeInput, Role } from "../api/generated.js";
import type { MessageKey } from "../i18n/index.js";

export interface CameraFields {
  id: string;
  name: string;
  site: string;
  mainUrl: string;
  subUrl: string;
  transport: "auto" | "tcp" | "udp";
  username: string;
  password: string;
  forget: boolean;
  address: string;
  latitude: string;
  longitude: string;
  bearing: string;
  tags: string;
  enabled: boolean;
  record: boolean;
  audio: boolean;
  privacyMasks: readonly PrivacyMask[];
  unmaskedRoles: readonly Role[];
}

export type FieldErrors = Partial<Record<keyof CameraFields, MessageKey>>;

const CAMERA_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;
const SOURCE_URL = /^(rtsps?|https?|rtmp|srt|udp|rtp):\/\/[^/?#\s]+([/?#]\S*)?$/;

export function fieldsOf(camera: CameraView | null, site: string): CameraFields {
  const number = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
  return {
    id: camera?.id ?? "",
    name: camera?.name ?? "",
    site: camera?.site ?? site,
    mainUrl: camera?.profiles.main?.url ?? "",
    subUrl: camera?.profiles.sub?.url ?? "",
    transport: camera?.profiles.main?.transport ?? "auto",
    username: "",
    password: "",
    forget: false,
    address: camera?.location.address ?? "",
    latitude: number(camera?.location.latitude),
    longitude: number(camera?.location.longitude),
    bearing: number(camera?.location.bearing),
    tags: camera?.tags.join(", ") ?? "",
    enabled: camera?.enabled ?? true,
    record: camera?.record ?? true,
    audio: camera?.audio ?? false,
    privacyMasks: camera?.privacy_masks ?? [],
    unmaskedRoles: camera?.unmasked_roles ?? [],
  };
}

/** An id made of a name: lower-case, dashes for the rest. */
export function idFrom(name: string): string {
  const ascii = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return ascii
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
}

function coordinate(text: string, limit: number): number | null | undefined {
  if (text.trim() === "") return null;
  const value = Number(text.replace(",", "."));
  return Number.isFinite(value) && Math.abs(value) <= limit ? value : undefined;
}

export function validate(fields: CameraFields): FieldErrors {
  const errors: FieldErrors = {};
  if (!fields.name.trim()) errors.name = "form.required";
  if (!CAMERA_ID.test(fields.id)) errors.id = "form.id.bad";
  if (fields.site && !CAMERA_ID.test(fields.site)) errors.site = "form.id.bad";
  if (!fields.mainUrl.trim()) errors.mainUrl = "form.required";
  else if (!SOURCE_URL.test(fields.mainUrl.trim())) errors.mainUrl = "form.url.bad";
  if (fields.subUrl.trim() && !SOURCE_URL.test(fields.subUrl.trim())) errors.subUrl = "form.url.bad";
  if (coordinate(fields.latitude, 90) === undefined) errors.latitude = "form.coordinate.bad";
  if (coordinate(fields.longitude, 180) === undefined) errors.longitude = "form.coordinate.bad";
  const bearing = coordinate(fields.bearing, 360);
  if (bearing === undefined || (bearing !== null && (bearing < 0 || bearing === 360)))
    errors.bearing = "form.bearing.bad";
  return errors;
}

/** The request for fields without errors. Keeps settings of the profiles that the form does not show. */
export function inputOf(fields: CameraFields, before: CameraView | null): CameraInput {
  const { transport } = fields;
  const input: CameraInput = {
    name: fields.name.trim(),
    location: {
      address: fields.address.trim(),
      latitude: coordinate(fields.latitude, 90) ?? null,
      longitude: coordinate(fields.longitude, 180) ?? null,
      bearing: coordinate(fields.bearing, 360) ?? null,
    },
    tags: [...new Set(fields.tags.split(",").map((tag) => tag.trim()))].filter(Boolean),
    profiles: {
      main: { ...before?.profiles.main, url: fields.mainUrl.trim(), transport },
      ...(fields.subUrl.trim() && { sub: { ...before?.profiles.sub, url: fields.subUrl.trim(), transport } }),
    },
    enabled: fields.enabled,
    record: fields.record,
    audio: fields.audio,
    privacy_masks: [...fields.privacyMasks],
    unmasked_roles: [...fields.unmaskedRoles],
  };
  if (before === null) {
    input.id = fields.id;
    if (fields.site) input.site = fields.site;
  }
  if (fields.forget) input.credentials = null;
  else if (fields.username || fields.password) {
    input.credentials = { username: fields.username, password: fields.password };
  }
  return input;
}

/** What the form changes of a camera: the rest is left as colleagues may have changed it meanwhile. */
export function changesOf(fields: CameraFields, before: CameraView): CameraPatch {
  const shown = new Map(Object.entries(inputOf(fieldsOf(before, before.site), before)));
  const changed = Object.entries(inputOf(fields, before)).filter(
    ([name, value]) => JSON.stringify(shown.get(name)) !== JSON.stringify(value),
  );
  return Object.fromEntries(changed);
}

/** The question what these fields' addresses offer. */
export function probeOf(fields: CameraFields, before: CameraView | null): ProbeInput {
  const { profiles = {}, credentials } = inputOf(fields, before);
  return { profiles, ...(credentials && { credentials }), ...(before && { camera: before.id }) };
}

const LABELS: readonly (readonly [RegExp, MessageKey])[] = [
  [/^id$/, "form.id"],
  [/^name$/, "form.name"],
  [/^site$/, "form.site"],
  [/^profiles\.sub/, "form.sub"],
  [/^profiles\.main.*transport$/, "form.transport"],
  [/^profiles/, "form.main"],
  [/^credentials\.password/, "form.password"],
  [/^credentials/, "form.user"],
  [/^(main_url|transport|reader)$/, "form.main"],
  [/^sub_url$/, "form.sub"],
  [/^username$/, "form.user"],
  [/^password$/, "form.password"],
  [/^enabled$/, "form.enabled"],
  [/^record$/, "form.record"],
  [/^audio$/, "form.audio"],
  [/^address$/, "form.address"],
  [/latitude/, "form.latitude"],
  [/longitude/, "form.longitude"],
  [/bearing/, "form.bearing"],
  [/^location/, "form.address"],
  [/^tags/, "form.tags"],
  [/^(privacy_masks|unmasked_roles)/, "masks.title"],
];

/** The label of the form's field that the server means by a path such as `profiles.main.url`. */
export function labelOf(path: string): MessageKey {
  return LABELS.find(([pattern]) => pattern.test(path))?.[1] ?? "form.other";
}
