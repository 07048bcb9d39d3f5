"""The identity provider of a site (OpenID Connect): its addresses and keys, a code redeemed."""
