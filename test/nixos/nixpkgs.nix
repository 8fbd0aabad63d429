# The same merge through nixpkgs' own lib.evalModules. Faults are thrown, as there.
{
  declarations,
  lib,
  plain,
}:
let
  inherit (lib)
    any
    concatMap
    concatStringsSep
    elemAt
    init
    isAttrs
    isList
    last
    listToAttrs
    mapAttrs
    mkOption
    mkOptionType
    types
    ;
  inherit (builtins) attrNames isString;

  orThrow =
    merged: if merged.faults == [ ] then merged.value else throw (concatStringsSep "\n" merged.faults);

  unit = mkOptionType {
    name = "systemd option";
    merge =
      path: defs:
      if any (def: isList def.value) defs then
        concatMap (def: lib.toList def.value) defs
      else
        lib.mergeEqualOption path defs;
  };

  named = {
    inherit (types)
      bool
      int
      lines
      path
      port
      str
      ;
    inherit (types.ints) u32 unsigned;
    inherit unit;
    words = types.separatedString " ";
    setting = mkOptionType {
      name = "sysctl option value";
      check = value: value == null || lib.isBool value || lib.isInt value || isString value;
      merge = lib.mergeOneOption;
    };
    anything = mkOptionType {
      name = "anything";
      merge = path: defs: orThrow (plain.mergeFree path defs);
    };
  };

  typeOf =
    below: type:
    if type == "submodule" then
      submodule below
    else if type == "toplevel" then
      toplevel
    else if isString type then
      named.${type}
    else if type ? nullOr then
      types.nullOr (typeOf below type.nullOr)
    else if type ? listOf then
      types.listOf (typeOf (below."*".group or { }) type.listOf)
    else if type ? attrsOf then
      types.attrsOf (typeOf (below."<name>".group or { }) type.attrsOf)
    else if type ? either then
      types.either (typeOf below (elemAt type.either 0)) (typeOf below (elemAt type.either 1))
    else if type ? enum then
      types.enum type.enum
    else if type ? matching then
      types.strMatching type.matching
    else if type ? integer then
      types.addCheck types.int (value: elemAt type.integer 0 <= value && value <= elemAt type.integer 1)
    else if type ? stringOr then
      types.coercedTo types.str (value: { ${type.stringOr} = value; }) (submodule below)
    else
      section declarations.sections.${type.section};

  section =
    checks:
    let
      settings = types.attrsOf unit;
    in
    settings
    // {
      merge =
        path: defs:
        let
          faults = concatMap (def: checks.faults def.value) defs;
          merged = settings.merge path defs;
        in
        if faults != [ ] then
          throw "${plain.mistyped path settings.description}: ${concatStringsSep "; " faults}"
        else if checks.wrapped != null then
          merged.${checks.wrapped} or merged
        else
          merged;
    };

  optionsOf = mapAttrs (
    _: node:
    if node ? group then optionsOf node.group else mkOption { type = typeOf node.below node.type; }
  );

  # The values that somebody has set. nixpkgs of 2026 has empty lists and sets for required options; older ones throw.
  valuesOf =
    path: nodes: options:
    listToAttrs (
      concatMap (
        name:
        let
          node = nodes.${name};
          option = options.${name};
          value =
            if node ? group then
              valuesOf (path ++ [ name ]) node.group option
            else if option.isDefined then
              option.value
            else
              throw (plain.undefined (path ++ [ name ]));
          isThere =
            if node ? group then
              value != { }
            else
              option.isDefined && any (file: file != plain.nixos) option.files;
        in
        if isThere || ((node.required or false) && !option.isDefined) then
          [ { inherit name value; } ]
        else
          [ ]
      ) (attrNames nodes)
    );

  # nixpkgs' own submodule would give the options that nobody has set as well.
  submodule =
    nodes:
    let
      options = optionsOf nodes;
    in
    mkOptionType {
      name = "submodule";
      check = value: isAttrs value || lib.isFunction value || types.path.check value;
      merge =
        path: defs:
        valuesOf path nodes
          (lib.evalModules {
            prefix = path;
            specialArgs.name = last path;
            modules = [
              { inherit options; }
            ]
            ++ map (
              def:
              {
                _file = def.file;
              }
              // (if isAttrs def.value then { config = def.value; } else { imports = [ def.value ]; })
            ) defs;
          }).options;
    };

  toplevel = mkOptionType {
    name = "Toplevel NixOS config";
    merge = path: defs: evaluate (init path) ([ (plain.container (last (init path))) ] ++ defs);
  };

  # Options that are not declared. What was merged stands beside what `config` reads.
  free =
    prefix:
    mkOptionType {
      name = "options that are not declared";
      merge =
        _: defs:
        let
          merged = plain.mergeGroup {
            inherit prefix defs;
            below = [ ];
            nodes = declarations.options;
            isFree = declarations.isFree [ ];
          };
        in
        merged.lazy // { _free = merged; };
    };

  options = optionsOf declarations.options;

  evaluate =
    prefix: defs:
    let
      evaluated = lib.evalModules {
        inherit prefix;
        specialArgs.pkgs = { };
        modules = [
          {
            inherit options;
            freeformType = free prefix;
          }
        ]
        ++ map (def: {
          _file = def.file;
          imports = [ def.value ];
        }) defs;
      };
    in
    lib.recursiveUpdate (if evaluated.config ? _free then orThrow evaluated.config._free else { }) (
      valuesOf prefix declarations.options evaluated.options
    );
in
{
  inherit evaluate;
}
