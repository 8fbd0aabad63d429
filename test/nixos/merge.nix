# Merges modules as NixOS does, without nixpkgs. A definition is { file, value }, what a merge gives { value, faults }:
# faults are gathered as data, and nothing is thrown but what a module throws itself.
{ declarations, lib }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    functionArgs
    genList
    groupBy
    head
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    mapAttrs
    match
    removeAttrs
    sort
    substring
    tail
    toJSON
    ;

  # What NixOS sets in containers takes part in the merge; what nobody else sets is no part of the result.
  nixos = "NixOS";

  isUsers = def: substring 0 4 def.file == "user";

  hasType = type: value: isAttrs value && (value._type or null) == type;

  # Words

  showPath =
    path:
    concatStringsSep "." (
      map (part: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" part != null then part else toJSON part) path
    );

  show =
    value:
    if isAttrs value then
      "{ ${
        concatStringsSep "" (map (name: "${showPath [ name ]} = ${show value.${name}}; ") (attrNames value))
      }}"
    else if isList value then
      "[ ${concatStringsSep "" (map (item: "${show item} ") value)}]"
    else if isFunction value then
      "<function>"
    else if isPath value then
      toString value
    else
      toJSON value;

  showDefs = defs: concatStringsSep "" (map (def: "\n- In `${def.file}': ${show def.value}") defs);

  fault =
    path: what: defs:
    "The option `${showPath path}' ${what}.${showDefs defs}";

  undefined = path: fault path "was accessed but has no value defined" [ ];

  mistyped = path: type: "A definition for option `${showPath path}' is not of type `${type}'";

  # Results

  right = value: {
    inherit value;
    faults = [ ];
  };
  wrong = fault: {
    value = null;
    faults = [ fault ];
  };

  equal =
    path: defs:
    let
      first = head defs;
      others = filter (def: def.value != first.value) (tail defs);
    in
    if others == [ ] then
      right first.value
    else
      wrong (
        fault path "has conflicting definition values" [
          first
          (head others)
        ]
      );

  single =
    path: defs:
    if length defs == 1 then
      right (head defs).value
    else
      wrong (fault path "is defined multiple times while it's expected to be unique" defs);

  # Properties

  # mkMerge, mkIf and mkOverride around a set of options move to the options.
  pushDown =
    value:
    let
      inward =
        wrap: map (set: if isAttrs set then mapAttrs (_: wrap) set else set) (pushDown value.content);
    in
    if hasType "merge" value then
      concatMap pushDown value.contents
    else if hasType "if" value then
      inward (lib.mkIf value.condition)
    else if hasType "override" value then
      inward (lib.mkOverride value.priority)
    else
      [ value ];

  setsOf = defs: concatMap (def: map (value: def // { inherit value; }) (pushDown def.value)) defs;

  discharge =
    value:
    if hasType "merge" value then
      concatMap discharge value.contents
    else if hasType "if" value then
      if !(isBool value.condition) then
        throw "the condition of a mkIf is not a Boolean"
      else if value.condition then
        discharge value.content
      else
        [ ]
    else
      [ value ];

  # The definitions of an option that count, in their order.
  counting =
    defs:
    let
      discharged = concatMap (def: map (value: def // { inherit value; }) (discharge def.value)) defs;
      of =
        type: default: def:
        if hasType type def.value then def.value.priority else default;
      without = type: def: if hasType type def.value then def // { value = def.value.content; } else def;
      priority = of "override" 100;
      order = of "order" 1000;
      best = foldl' (best: def: if priority def < best then priority def else best) 9999 discharged;
      bare = map (without "override") (filter (def: priority def == best) discharged);
    in
    map (without "order") (
      if any (def: hasType "order" def.value) bare then sort (a: b: order a < order b) bare else bare
    );

  # Types: { description, check, merge }

  simple = description: check: {
    inherit description check;
    merge = equal;
  };

  isBetween =
    from: to: value:
    isInt value && from <= value && value <= to;

  separated = separator: {
    description = "strings concatenated with ${toJSON separator}";
    check = isString;
    merge = _: defs: right (concatStringsSep separator (map (def: def.value) defs));
  };

  unit = {
    description = "systemd option";
    check = _: true;
    merge =
      path: defs:
      if any (def: isList def.value) defs then
        right (concatMap (def: if isList def.value then def.value else [ def.value ]) defs)
      else
        equal path defs;
  };

  named = {
    inherit unit;
    bool = simple "boolean" isBool;
    str = simple "string" isString;
    int = simple "signed integer" isInt;
    unsigned = simple "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
    port = simple "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (isBetween 0 65535);
    u32 = simple "32 bit unsigned integer; between 0 and 4294967295 (both inclusive)" (
      isBetween 0 4294967295
    );
    path = simple "absolute path" (
      value: isPath value || (isString value && substring 0 1 value == "/")
    );
    lines = separated "\n";
    words = separated " ";
    setting = {
      description = "sysctl option value";
      check = value: value == null || isBool value || isInt value || isString value;
      merge = single;
    };
    anything = {
      description = "anything";
      check = _: true;
      merge = mergeFree;
    };
  };

  # `below` are the options of the submodule within the type.
  typeOf =
    below: type:
    if type == "submodule" then
      submodule below
    else if type == "toplevel" then
      toplevel
    else if isString type then
      named.${type}
    else if type ? nullOr then
      nullOr (typeOf below type.nullOr)
    else if type ? listOf then
      listOf (typeOf (below."*".group or { }) type.listOf)
    else if type ? attrsOf then
      attrsOf (typeOf (below."<name>".group or { }) type.attrsOf)
    else if type ? either then
      either (typeOf below (elemAt type.either 0)) (typeOf below (elemAt type.either 1))
    else if type ? enum then
      simple "one of ${concatStringsSep ", " (map toJSON type.enum)}" (value: elem value type.enum)
    else if type ? matching then
      simple "string matching the pattern ${type.matching}" (
        value: isString value && match type.matching value != null
      )
    else if type ? integer then
      simple "signed integer" (isBetween (elemAt type.integer 0) (elemAt type.integer 1))
    else if type ? stringOr then
      stringOr type.stringOr (submodule below)
    else
      section declarations.sections.${type.section};

  nullOr = type: {
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
    merge =
      path: defs:
      let
        nulls = filter (def: def.value == null) defs;
      in
      if nulls == [ ] then
        type.merge path defs
      else if length nulls == length defs then
        right null
      else
        wrong (fault path "is defined both null and not null" defs);
  };

  either = left: other: {
    description = "${left.description} or ${other.description}";
    check = value: left.check value || other.check value;
    merge =
      path: defs:
      if all (def: left.check def.value) defs then
        left.merge path defs
      else if all (def: other.check def.value) defs then
        other.merge path defs
      else
        single path defs;
  };

  stringOr = name: type: {
    description = "${type.description} or string convertible to it";
    check = value: isString value || type.check value;
    merge =
      path: defs:
      type.merge path (
        map (def: if isString def.value then def // { value.${name} = def.value; } else def) defs
      );
  };

  listOf = type: {
    description = "list of ${type.description}";
    check = isList;
    merge =
      path: defs:
      let
        entry =
          i: j:
          mergeOption (path ++ [ "[definition ${toString (i + 1)}-entry ${toString (j + 1)}]" ]) type [
            ((elemAt defs i) // { value = elemAt (elemAt defs i).value j; })
          ];
        entries = concatLists (genList (i: genList (entry i) (length (elemAt defs i).value)) (length defs));
      in
      {
        value = map (entry: entry.value) (filter (entry: entry.defined) entries);
        faults = concatMap (entry: entry.faults) entries;
      };
  };

  attrsOf = type: {
    description = "attribute set of ${type.description}";
    check = isAttrs;
    merge = path: defs: both (mapAttrs (name: mergeOption (path ++ [ name ]) type) (byName defs));
  };

  section =
    checks:
    let
      settings = attrsOf unit;
    in
    {
      description = "attribute set of (systemd option)";
      inherit (settings) check;
      merge =
        path: defs:
        let
          faults = concatMap (def: checks.faults def.value) defs;
          merged = settings.merge path defs;
        in
        if faults != [ ] then
          wrong "${mistyped path "attribute set of (systemd option)"}: ${concatStringsSep "; " faults}"
        else if checks.wrapped != null && merged.value ? ${checks.wrapped} then
          merged // { value = merged.value.${checks.wrapped}; }
        else
          merged;
    };

  submodule = nodes: {
    description = "(submodule)";
    check = value: isAttrs value || isFunction value || isPath value;
    merge =
      path: defs:
      let
        # A set is the options themselves, among which there may be one of the name `config`.
        modules = map (
          def:
          if isAttrs def.value then
            {
              defs = [ def ];
              faults = [ ];
            }
          else
            definitions {
              inherit lib;
              config = merged.lazy;
              name = elemAt path (length path - 1);
            } def
        ) defs;
        merged = mergeGroup {
          prefix = path;
          below = [ ];
          inherit nodes;
          isFree = _: false;
          defs = concatMap (module: module.defs) (backwards modules);
        };
      in
      {
        inherit (merged) value;
        faults = concatMap (module: module.faults) modules ++ merged.faults;
      };
  };

  toplevel = {
    description = "Toplevel NixOS config";
    check = _: true;
    merge =
      path: defs:
      let
        prefix = genList (elemAt path) (length path - 1);
      in
      evaluate prefix ([ (container (elemAt prefix (length prefix - 1))) ] ++ defs);
  };

  # Merging

  # The definitions of each name in sets.
  byName =
    defs:
    mapAttrs (_: map (entry: entry.def)) (
      groupBy (entry: entry.name) (
        concatMap (
          def:
          map (name: {
            inherit name;
            def = def // {
              value = def.value.${name};
            };
          }) (attrNames def.value)
        ) defs
      )
    );

  # Values and faults of entries by name; only what somebody has set.
  both = entries: {
    value = listToAttrs (
      concatMap (
        name:
        if entries.${name}.defined && entries.${name}.isOwn then
          [
            {
              inherit name;
              inherit (entries.${name}) value;
            }
          ]
        else
          [ ]
      ) (attrNames entries)
    );
    faults = concatMap (name: entries.${name}.faults) (attrNames entries);
  };

  # { value, faults, defined, isOwn, lazy }: `isOwn` where not NixOS alone has set it; `lazy` is what `config` reads,
  # with names that do not depend on conditions.
  mergeOption =
    path: type: defs:
    let
      final = counting defs;
      bad = filter (def: !(type.check def.value)) final;
      merged =
        if bad == [ ] then
          type.merge path final
        else
          wrong "${mistyped path type.description}. Definition values:${showDefs bad}";
    in
    rec {
      defined = final != [ ];
      isOwn = any (def: def.file != nixos) final;
      value = if defined then merged.value else throw (undefined path);
      lazy = value;
      faults = if defined then merged.faults else [ ];
    };

  mergeGroup =
    {
      prefix,
      below,
      nodes,
      isFree,
      defs,
    }:
    let
      sets = setsOf defs;
      entries = mapAttrs (
        name: defs:
        let
          path = below ++ [ name ];
          node = nodes.${name};
        in
        if !(nodes ? ${name}) then
          if isFree name then free (prefix ++ path) defs else unknown (prefix ++ path) "does not exist" defs
        else if node ? group then
          mergeGroup {
            inherit prefix defs;
            below = path;
            nodes = node.group;
            isFree = declarations.isFree path;
          }
        else
          mergeOption (prefix ++ path) node.type defs
      ) (byName (filter (def: isAttrs def.value) sets));
      merged = both entries;
      missing = filter (name: (nodes.${name}.required or false) && !(entries.${name}.defined or false)) (
        attrNames nodes
      );
    in
    {
      inherit (merged) value;
      defined = any (name: entries.${name}.defined) (attrNames entries);
      isOwn = any (name: entries.${name}.isOwn) (attrNames entries);
      lazy = mapAttrs (_: entry: entry.lazy) entries;
      faults =
        concatMap (
          def:
          if isAttrs def.value then
            [ ]
          else
            [ "${mistyped (prefix ++ below) "attribute set"}. Definition values:${showDefs [ def ]}" ]
        ) sets
        ++ merged.faults
        ++ map (name: undefined (prefix ++ below ++ [ name ])) missing;
    };

  unknown = path: what: defs: {
    value = null;
    lazy = null;
    defined = true;
    isOwn = true;
    faults = [ (fault path what defs) ];
  };

  # Options that are not declared: sets are merged, lists joined, anything else has to be equal.
  free =
    path: defs:
    let
      others = filter (def: !(isUsers def)) defs;
      sets = setsOf defs;
      entries = mapAttrs (name: free (path ++ [ name ])) (byName sets);
    in
    if others != [ ] then
      unknown path "is none of the network's" others
    else if all (def: isAttrs def.value) sets then
      both entries
      // {
        defined = entries == { } || any (name: entries.${name}.defined) (attrNames entries);
        isOwn = true;
        lazy = mapAttrs (_: entry: entry.lazy) entries;
      }
    else
      mergeOption path named.anything defs;

  mergeFree =
    path: defs:
    if all (def: isAttrs def.value) defs then
      (attrsOf named.anything).merge path defs
    else if all (def: isList def.value) defs then
      right (concatMap (def: def.value) defs)
    else
      equal path defs;

  # Modules

  # nixpkgs takes the definitions of the last module first.
  backwards = list: genList (i: elemAt list (length list - 1 - i)) (length list);

  # What a module defines, be it a function or not, and with or without `config`.
  definitions =
    arguments: def:
    let
      module =
        if isFunction def.value then
          def.value (removeAttrs arguments [ "pkgs" ] // intersectAttrs (functionArgs def.value) arguments)
        else if isPath def.value then
          import def.value
        else
          def.value;
      isWhole = module ? config || module ? options;
      odd = if isWhole then attrNames (removeAttrs module known) else [ ];
      known = [
        "_class"
        "_file"
        "config"
        "disabledModules"
        "freeformType"
        "imports"
        "key"
        "meta"
        "options"
      ];
      faults = concatLists [
        (map (
          name: "Module `${def.file}' has an unsupported attribute `${name}' beside config or options"
        ) odd)
        (if (module.imports or [ ]) == [ ] then [ ] else [ "Module `${def.file}' has imports" ])
        (if (module.options or { }) == { } then [ ] else [ "Module `${def.file}' declares options" ])
      ];
    in
    if !(isAttrs module) then
      {
        defs = [ ];
        faults = [ "Module `${def.file}' is no attribute set, but ${show module}" ];
      }
    else
      {
        inherit faults;
        defs = [
          (
            def
            // {
              value =
                if isWhole then
                  module.config or { }
                else
                  removeAttrs module [
                    "_file"
                    "imports"
                    "key"
                  ];
            }
          )
        ];
      };

  nodes = typed declarations.options;
  typed = mapAttrs (
    _: node:
    if node ? group then
      { group = typed node.group; }
    else
      {
        inherit (node) required;
        type = typeOf (typed node.below) node.type;
      }
  );

  # The definitions that a container has from NixOS.
  container = name: {
    file = nixos;
    value = {
      boot.isContainer = true;
      networking.hostName = lib.mkDefault name;
      networking.useDHCP = false;
      networking.useHostResolvConf = lib.mkDefault true;
    };
  };

  evaluate =
    prefix: defs:
    let
      modules = map (definitions {
        inherit lib;
        config = merged.lazy;
        pkgs = { };
        specialArgs = { };
      }) defs;
      merged = mergeGroup {
        inherit prefix nodes;
        below = [ ];
        isFree = declarations.isFree [ ];
        defs = concatMap (module: module.defs) (backwards modules);
      };
    in
    {
      inherit (merged) value;
      faults = concatMap (module: module.faults) modules ++ merged.faults;
    };
in
{
  inherit
    container
    evaluate
    mergeFree
    mergeGroup
    mistyped
    nixos
    undefined
    ;
}
