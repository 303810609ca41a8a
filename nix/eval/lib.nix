# Just enough of nixpkgs' `lib` to evaluate our own module where nixpkgs cannot be had: the module system (mkIf, mkMerge,
# priorities, submodules, freeform types) and the helpers that the module uses. Unknown options and wrong types throw.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    functionArgs
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    removeAttrs
    stringLength
    substring
    tail
    toJSON
    toString
    ;

  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: call: listToAttrs (map (name: nameValuePair name (call name)) names);
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  escapeRegex =
    let
      special = [
        "\\"
        "."
        "*"
        "+"
        "?"
        "("
        ")"
        "["
        "]"
        "{"
        "}"
        "^"
        "$"
        "|"
      ];
    in
    builtins.replaceStrings special (map (char: "\\${char}") special);
  isDerivation = x: isAttrs x && (x.type or "") == "derivation";
  isOption = x: isAttrs x && (x._kind or "") == "option";

  # A definition with its priority; conditions and merges are gone afterwards.
  discharge =
    priority: value:
    let
      kind = if isAttrs value then value._kind or "" else "";
    in
    if kind == "if" then
      (if value.condition then discharge priority value.content else [ ])
    else if kind == "merge" then
      concatMap (discharge priority) value.contents
    else if kind == "override" then
      discharge value.priority value.content
    else
      [ { inherit priority value; } ];

  # A set of definitions as sets: conditions and priorities go down to what is in them, so that the names are known
  # before any condition is asked (which may depend on the configuration itself).
  down =
    value:
    let
      kind = if isAttrs value then value._kind or "" else "";
    in
    if kind == "if" then
      map (mapAttrs (
        _: content: {
          _kind = "if";
          inherit (value) condition;
          inherit content;
        }
      )) (down value.content)
    else if kind == "merge" then
      concatMap down value.contents
    else if kind == "override" then
      map (mapAttrs (
        _: content: {
          _kind = "override";
          inherit (value) priority;
          inherit content;
        }
      )) (down value.content)
    else
      [ value ];

  children = name: set: if set ? ${name} then [ set.${name} ] else [ ];

  strongest =
    definitions:
    let
      best = foldl' (low: d: if d.priority < low then d.priority else low) 9999 definitions;
    in
    filter (d: d.priority == best) definitions;

  show = concatStringsSep ".";

  evalOption =
    where: option: raw:
    let
      given = concatMap (discharge 100) raw;
      fallback = if option ? default then discharge 1500 option.default else [ ];
      chosen = map (d: d.value) (strongest (given ++ fallback));
      wrong = filter (value: !option.type.check value) chosen;
    in
    if chosen == [ ] then
      option.type.empty or (throw "The option `${show where}' has no value.")
    else if wrong != [ ] then
      throw "The option `${show where}' is not of type `${option.type.description}': ${preview (head wrong)}"
    else
      option.type.merge where chosen;

  preview =
    value:
    if isFunction value then
      "a function"
    else if isAttrs value then
      "a set"
    else
      toJSON value;

  evalTree =
    where: freeform: trees: raw:
    let
      sets = concatMap down raw;
      wrong = filter (set: !(isAttrs set)) sets;
      declared = unique (concatMap attrNames trees);
      extra = filter (name: !(elem name declared)) (unique (concatMap attrNames sets));
      live = filter (name: concatMap (discharge 100) (concatMap (children name) sets) != [ ]) extra;
      option =
        name:
        let
          at = where ++ [ name ];
          mine = concatMap (children name) trees;
          definitions = concatMap (children name) sets;
        in
        if any isOption mine then
          evalOption at (head (filter isOption mine)) definitions
        else
          evalTree at null mine definitions;
      free =
        if wrong != [ ] then
          throw "The option `${show where}' is not a set: ${preview (head wrong)}"
        else if extra == [ ] then
          { }
        else if freeform != null then
          freeform.merge where (map (set: removeAttrs set declared) sets)
        else if live != [ ] then
          throw "The option `${show (where ++ [ (head live) ])}' does not exist."
        else
          { };
    in
    free // genAttrs declared option;

  load =
    arguments: module:
    let
      body = if isPath module || isString module then import module else module;
      value =
        if isFunction body then
          body (arguments // mapAttrs (name: _: arguments.${name}) (functionArgs body))
        else
          body;
      structured = value ? config || value ? options || value ? imports;
      keys = [
        "config"
        "options"
        "imports"
        "freeformType"
        "meta"
        "_file"
      ];
    in
    concatMap (load arguments) (value.imports or [ ])
    ++ [
      {
        options = value.options or { };
        config = if structured then value.config or { } else removeAttrs value keys;
        freeform = value.freeformType or null;
      }
    ];

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      arguments = {
        inherit lib options;
      }
      // specialArgs
      // {
        inherit config;
      };
      loaded = concatMap (load arguments) modules;
      freeforms = filter (x: x != null) (map (m: m.freeform) loaded);
      options = map (m: m.options) loaded;
      config = evalTree prefix (if freeforms == [ ] then null else head freeforms) options (
        map (m: m.config) loaded
      );
    in
    {
      inherit config;
    };

  same =
    where: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${show where}' has conflicting definitions: ${concatStringsSep ", " (map preview values)}";

  type = description: check: {
    inherit description check;
    merge = same;
  };

  types = rec {
    bool = type "boolean" isBool;
    int = type "integer" isInt;
    str = type "string" isString;
    singleLineStr = type "(optionally newline-terminated) single-line string" (
      x: isString x && match "[^\r\n]*\n?" x != null
    );
    path = type "absolute path" (
      x: (isString x || isPath x || isDerivation x) && hasPrefix "/" (toString x)
    );
    package = type "package" isDerivation;
    enum = values: type "one of ${toJSON values}" (x: elem x values);
    strMatching = pattern: type "string matching ${pattern}" (x: isString x && match pattern x != null);
    nullOr = inner: type "null or ${inner.description}" (x: x == null || inner.check x);
    oneOf = kinds: type "one of several types" (x: any (kind: kind.check x) kinds);
    # What a JSON document holds; sets are merged, and priorities and conditions work at every depth.
    json =
      type "JSON value" (
        x: isString x || isBool x || isInt x || isFloat x || isList x || isAttrs x || x == null || isPath x
      )
      // {
        merge =
          where: values:
          let
            chosen = map (d: d.value) (strongest (concatMap (discharge 100) values));
          in
          if all (value: isAttrs value && !(isDerivation value)) chosen then
            (attrsOf json).merge where chosen
          else
            same where chosen;
      };
    listOf =
      inner:
      type "list of ${inner.description}" (x: isList x && all inner.check x)
      // {
        empty = [ ];
        merge = _: concatLists;
      };
    attrsOf =
      inner:
      type "set of ${inner.description}" isAttrs
      // {
        empty = { };
        merge =
          where: values:
          let
            sets = concatMap down values;
            of = name: concatMap (children name) sets;
            live = filter (name: concatMap (discharge 100) (of name) != [ ]) (
              unique (concatMap attrNames sets)
            );
          in
          genAttrs live (name: evalOption (where ++ [ name ]) { type = inner; } (of name));
      };
    submodule =
      module:
      type "submodule" (x: isAttrs x || isFunction x)
      // {
        empty = (types.submodule module).merge [ ] [ ];
        merge =
          where: values:
          (evalModules {
            prefix = where;
            specialArgs = {
              name = if where == [ ] then "" else elemAt where (length where - 1);
            };
            modules = [ module ] ++ map (value: if isFunction value then value else { config = value; }) values;
          }).config;
      };
  };

  lib = {
    inherit
      all
      any
      attrNames
      attrValues
      concatStringsSep
      evalModules
      genAttrs
      hasPrefix
      isDerivation
      nameValuePair
      types
      ;
    mkOption = option: option // { _kind = "option"; };
    mkIf = condition: content: {
      _kind = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _kind = "merge";
      inherit contents;
    };
    mkDefault = content: {
      _kind = "override";
      priority = 1000;
      inherit content;
    };
    mkForce = content: {
      _kind = "override";
      priority = 50;
      inherit content;
    };
    mkEnableOption =
      what:
      lib.mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    mkPackageOption =
      pkgs: name: _:
      lib.mkOption {
        type = types.package;
        default = pkgs.${name};
        description = "The ${name} package to use.";
      };
    mapAttrsToList = call: set: map (name: call name set.${name}) (attrNames set);
    mapAttrs' = call: set: listToAttrs (map (name: call name set.${name}) (attrNames set));
    filterAttrs =
      keep: set:
      listToAttrs (
        concatMap (name: if keep name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (
          attrNames set
        )
      );
    optionalAttrs = condition: set: if condition then set else { };
    hasInfix = part: text: length (builtins.split (escapeRegex part) text) > 1;
    splitString = separator: text: filter isString (builtins.split (escapeRegex separator) text);
    escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    getExe' = package: name: "${package}/bin/${name}";
    inherit elem;
    optional = condition: x: if condition then [ x ] else [ ];
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    literalExpression = text: text;
    inherit
      mapAttrs
      filter
      head
      tail
      ;
  };
in
lib
