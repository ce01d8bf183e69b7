-- A copy in a trade stays in the wallet of its owner, whose key the engine has: it goes to its new owner at once.
CREATE OR REPLACE FUNCTION in_vault(place text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT place = 'listed' $$;
