/** What a key may do, from least to most. */
export const ROLES = ["readonly", "user", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** True when `role` may do what is open to `needed` and above. */
export function roleAllows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
