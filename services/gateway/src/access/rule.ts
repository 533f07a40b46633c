/** What is asked of a role: viewers read, operators write too, admins decide who may. */
export type Need = 'read' | 'write' | 'admin';

/** Who may make a call, or use a route; what has no rule is refused. */
export type Rule =
  /** Anyone, without a credential too: health, the document of the API. */
  | { on: 'nothing' }
  /** Whoever is known, about itself: the version, who one is. */
  | { on: 'self' }
  /** In the namespace that the call names. */
  | { on: 'namespace'; need: Need }
  /** In any namespace at all: whoever answers tells of those alone in which the caller may. */
  | { on: 'somewhere'; need: Need }
  /** What is no namespace's: nodes, certificates, roles. */
  | { on: 'fleet'; need: Need };
