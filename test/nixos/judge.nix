# Evaluates sets of modules; a set is a list of { file, path } in JSON, where `file` is what faults call the module.
# They are merged by nixpkgs where a path to its lib is given, else without it. With `alone` nothing is caught, so that
# nix says what was thrown.
{
  questions,
  release,
  nixpkgs ? null,
  alone ? false,
}:
let
  inherit (builtins)
    deepSeq
    fromJSON
    isAttrs
    isFunction
    isList
    isPath
    mapAttrs
    readFile
    tryEval
    ;

  declarations = import ./declarations.nix { inherit release; };
  lib = if nixpkgs == null then import ./lib.nix else import (/. + nixpkgs);
  plain = import ./merge.nix { inherit declarations lib; };
  through = import ./nixpkgs.nix { inherit declarations lib plain; };

  evaluate =
    defs:
    if nixpkgs == null then
      plain.evaluate [ ] defs
    else
      {
        value = through.evaluate [ ] defs;
        faults = [ ];
      };

  # What JSON has no words for.
  data =
    value:
    if isFunction value then
      "<function>"
    else if isPath value then
      toString value
    else if isList value then
      map data value
    else if isAttrs value then
      mapAttrs (_: data) value
    else
      value;

  answer =
    question:
    let
      merged = evaluate (
        map (module: {
          inherit (module) file;
          value = import (/. + module.path);
        }) question
      );
      result =
        if merged.faults == [ ] then { config = data merged.value; } else { inherit (merged) faults; };
      tried = tryEval (deepSeq result result);
    in
    if alone then
      result
    else if tried.success then
      tried.value
    else
      { thrown = true; };
in
map answer (fromJSON (readFile (/. + questions)))
